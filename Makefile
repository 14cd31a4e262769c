# Two commands for a fresh machine with Python 3.11 and make: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
RUN := runs/make-run-$(shell date +%Y%m%d-%H%M%S)

.PHONY: run test bench clean

# Evolve for a few minutes, film a life, then score the evolved rules beside random ones on the same fresh lives. The
# agent that comes with the package follows: what longer evolution leads to.
run: .venv/.ready
	$(BIN)/metahebb train car-racing --run $(RUN) --time-limit 5
	$(BIN)/metahebb watch $(RUN) --video $(RUN)/life.mp4
	$(BIN)/metahebb evaluate $(RUN) --lives 100 --beside-random
	@echo "The agent that comes with metahebb, what longer evolution leads to:"
	$(BIN)/metahebb evaluate car-racing --lives 32
	$(BIN)/metahebb watch car-racing --video $(RUN)/shipped.mp4
	@echo "Fitness curve: $(RUN)/fitness.png"
	@echo "Film of a life: $(RUN)/life.mp4"
	@echo "Film of the agent that comes with metahebb: $(RUN)/shipped.mp4"

# Three processes, since some tests wait.
test: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 3 --dist loadgroup

bench: .venv/.ready-bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/.ready-dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ .venv/.ready

.venv/.ready-bench: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,benchmark]'
	touch $@ .venv/.ready-dev .venv/.ready
