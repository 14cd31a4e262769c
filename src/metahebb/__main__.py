"""``python -m metahebb``: the command, where it is not on the path."""

from metahebb_command import main

if __name__ == "__main__":
    main()
