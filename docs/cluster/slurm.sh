#!/usr/bin/env bash
#SBATCH --job-name=metahebb
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=12:00:00
#SBATCH --requeue
#
# Evolve on the nodes of a Slurm allocation. What follows the file's name goes to `metahebb train`:
#
#     sbatch slurm.sh car-racing --seed 1
#     sbatch --nodes=16 slurm.sh quadruped --seeds 1-10
#
# The run's folder is runs/slurm-JOB, or $RUN; a job that is requeued goes on with it, and so does
#
#     RUN=runs/slurm-1234 sbatch slurm.sh
#
# metahebb[cluster] has to be in the environment that jobs start with, at the same path on all nodes: activate it before
# sbatch, or name its folder in $VENV. The working directory has to be shared by the nodes.
set -euo pipefail

if [[ -n "${VENV:-}" ]]; then
  # shellcheck disable=SC1091
  source "$VENV/bin/activate"
fi
run="${RUN:-runs/slurm-$SLURM_JOB_ID}"
head="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
# Two jobs may share a node where they are not exclusive.
port=$((20000 + SLURM_JOB_ID % 20000))
address="$head:$port"
cores="${SLURM_CPUS_ON_NODE:-1}"

# Others reach Ray's ports on these nodes: a token, in the home folder that all nodes share, keeps them out.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
ray get-auth-token --generate > /dev/null

# This script runs on the first node, which is the cluster's head and lives lives, too; Slurm ends what it started.
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
  ray start --head --port="$port" --num-cpus="$cores" --include-dashboard=false --block &
for _ in {1..120}; do
  ray status --address="$address" > /dev/null 2>&1 && break
  sleep 1
done
if ((SLURM_JOB_NUM_NODES > 1)); then
  srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" --overlap \
    ray start --address="$address" --num-cpus="$cores" --block &
fi

# Nodes that are slower to start join while it runs.
if [[ -d "$run" ]]; then
  metahebb train --resume "$run" --cluster "$address"
else
  metahebb train "$@" --run "$run" --cluster "$address"
fi
