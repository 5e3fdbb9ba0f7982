"""``python -m cotune``: the same as the command ``cotune``."""

from .cli import main

if __name__ == "__main__":
    main()
