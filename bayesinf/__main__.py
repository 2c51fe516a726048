"""``python -m bayesinf``: the ``bayesinf`` command, where its folder is not on the path."""

from bayesinf.workflow.command import main

__all__ = []

if __name__ == "__main__":
    main()
