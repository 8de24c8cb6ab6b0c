"""Run the `lagdyna` command as `python -m lagdyna`."""

from .cli import main

if __name__ == "__main__":
    main()
