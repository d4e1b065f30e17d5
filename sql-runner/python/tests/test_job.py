"""What runs a user's Python script in the image (``dockerfiles/pyflink/job.py``), without PyFlink."""

import contextlib
import importlib.util
import io
import os
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

PATH = Path(__file__).parents[3] / "dockerfiles/pyflink/job.py"


def load():
    spec = importlib.util.spec_from_file_location("job", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@unittest.skipUnless(PATH.is_file(), "only the runner is here")
class JobTest(unittest.TestCase):
    def told(self, text, *arguments):
        """The exit code of a script, and what it failed with."""
        gateway = types.ModuleType("pyflink.java_gateway")
        gateway.get_gateway = mock.MagicMock()
        modules = {"pyflink": types.ModuleType("pyflink"), "pyflink.java_gateway": gateway}
        before = os.getcwd(), sys.argv, list(sys.path)
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(sys.modules, modules):
            folder = os.path.realpath(folder)
            Path(folder, "my.py").write_text(text, encoding="utf-8")
            Path(folder, "beside.py").write_text("def f():\n    raise KeyError('gone')\n", encoding="utf-8")
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    code = load().main(folder, "script", "my.py", *arguments)
            finally:
                os.chdir(before[0])
                sys.argv, sys.path[:] = before[1], before[2]
                sys.modules.pop("beside", None)
            gateway.get_gateway().jvm.io.github.flinkdev.python.PythonScript.enter.assert_called_once_with()
            error = Path(folder, ".error")
            return code, error.read_text(encoding="utf-8") if error.exists() else None

    def test_a_script_that_ends_well(self):
        self.assertEqual((0, None), self.told("import sys\nassert sys.argv[1:] == ['a', 'b'], sys.argv", "a", "b"))
        self.assertEqual((0, None), self.told("raise SystemExit"))
        self.assertEqual((0, None), self.told("if __name__ != '__main__':\n    raise ValueError"))

    def test_what_it_fails_with_is_one_line_with_its_place(self):
        self.assertEqual((1, "my.py:2: NameError: name 'x' is not defined"), self.told("y = 1\nx\n"))
        self.assertEqual((1, "beside.py:2: KeyError: 'gone'"), self.told("import beside\nbeside.f()"))
        self.assertEqual((1, "my.py:1: ValueError: a b"), self.told("raise ValueError('a\\n  b')"))
        self.assertEqual((1, "the script ended with 3"), self.told("raise SystemExit(3)"))
        self.assertEqual((1, "no such topic"), self.told("raise SystemExit('no such topic')"))
        code, error = self.told("def f(:\n  pass")
        self.assertEqual((1, "my.py:1: SyntaxError"), (code, error[:20]))


if __name__ == "__main__":
    unittest.main()
