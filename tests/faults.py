"""Faults that can be raised at any entry of a function of the package."""

import sys
from pathlib import Path

import skcentrobind

PACKAGE = str(Path(skcentrobind.__file__).parent)


class Fault(BaseException):
    """Raised in the middle of a call."""


class FaultAtCall:
    """Raises at the n-th entry of a function of the package."""

    def __init__(self, n, error=Fault):
        self.left, self.error = n, error

    def __call__(self, frame, event, arg):
        is_ours = event == "call" and frame.f_code.co_filename.startswith(PACKAGE)
        # Generator expressions are also entered to be closed, where nothing can be raised.
        if not is_ours or frame.f_code.co_name in ("_put_back_on_failure", "<genexpr>"):
            return
        self.left -= 1
        if not self.left:
            sys.setprofile(None)
            raise self.error

    def run(self, call):
        """Whether the fault came before the call had ended."""
        sys.setprofile(self)
        try:
            call()
        except self.error:
            return True
        finally:
            sys.setprofile(None)
        return False
