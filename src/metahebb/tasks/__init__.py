"""What a life is in each world, and the registry of tasks."""

from metahebb.tasks.registry import describe_tasks, make_task, register_task
from metahebb.tasks.task import Options, Task

__all__ = ["Options", "Task", "describe_tasks", "make_task", "register_task"]
