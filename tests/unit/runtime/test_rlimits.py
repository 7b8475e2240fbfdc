"""Limits of the operating system. In processes of their own: a limit that is lowered stays low."""

import subprocess
import sys


def run(program):
    program = f"import resource\nfrom extproc.runtime import rlimits\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_as_many_files_may_be_open_as_the_system_allows():
    assert run(
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "hard = 2000 if hard == resource.RLIM_INFINITY else min(hard, 2000)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))\n"
        "print(rlimits.descriptors())\n"
        "rlimits.allow_descriptors()\n"
        "print(rlimits.descriptors() == hard)\n"
    ) == ["100", "True"]


def test_a_crash_writes_no_memory_to_disk():
    assert run("rlimits.forbid_core_files()\nprint(*resource.getrlimit(resource.RLIMIT_CORE))") == [
        "0",
        "0",
    ]
