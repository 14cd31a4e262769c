"""What a life is in each world, and the registry of tasks."""

from metahebb.tasks.registry import NAMED_TASKS, describe_tasks, import_user_module, locate_user_module, make_task
from metahebb.tasks.task import Options, Task

__all__ = ["NAMED_TASKS", "Options", "Task", "describe_tasks", "import_user_module", "locate_user_module", "make_task"]
