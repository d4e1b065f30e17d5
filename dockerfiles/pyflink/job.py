"""Runs a user's script for PythonScript.java, and writes down in one line what it fails with.

Arguments: the job's folder, ``script`` or ``module``, its name, and the script's own arguments.
"""

import os
import runpy
import sys
import traceback


def described(error, folder):
    """One line: the place in the job's own files, and the message."""
    if type(error).__name__ in ("SqlScriptError", "SplitError"):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{relative(error.filename, folder)}:{error.lineno}: {type(error).__name__}: {error.msg}"
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(folder + os.sep)]
    place = f"{relative(own[-1].filename, folder)}:{own[-1].lineno}: " if own else ""
    return place + message(error)


def message(error):
    """Of an exception of Java, what is at the bottom of it."""
    from flinkdev_sql import failure

    if hasattr(error, "java_exception"):
        return failure.of(failure.causes_of_java(error.java_exception)).message
    if hasattr(error, "stack_trace"):
        return failure.of(failure.causes_of_text(str(error))).message
    text = " ".join(str(error).split())
    return type(error).__name__ + (f": {text}" if text else "")


def relative(path, folder):
    return os.path.relpath(path, folder) if path.startswith(folder + os.sep) else path


def run(folder, kind, name, arguments):
    from pyflink.java_gateway import get_gateway

    get_gateway().jvm.io.github.flinkdev.python.PythonScript.enter()
    sys.path.insert(0, folder)
    os.chdir(folder)
    if kind == "module":
        sys.argv = [name, *arguments]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        path = os.path.join(folder, name)
        sys.argv = [path, *arguments]
        runpy.run_path(path, run_name="__main__")


def main(folder, kind, name, *arguments):
    try:
        run(folder, kind, name, arguments)
        return 0
    except SystemExit as end:
        if end.code in (None, 0):
            return 0
        text = f"the script ended with {end.code}" if isinstance(end.code, int) else str(end.code)
    except BaseException as error:  # whatever it is, it is what the job failed with
        traceback.print_exc()
        text = described(error, folder)
    with open(os.path.join(folder, ".error"), "w", encoding="utf-8") as file:
        file.write(text.replace("\n", " "))
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
