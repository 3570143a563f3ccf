"""What the settings allow, tried in real kernels."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest
from real_kernel import RealKernel, kernel_environment, kernel_spec, real_kernel

pytestmark = pytest.mark.deno

SOME_MB = 10**6


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder to work in, beside the home folder."""
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "data.csv").write_text("a,b\n1,2\n")
    (tmp_path / "home").mkdir()
    return folder


def home(project: Path) -> Path:
    return project.parent / "home"


def default_guest(folder: Path) -> str:
    return "/mnt/" + "".join(c if c.isalnum() or c in "_-" else "_" for c in str(folder))


def test_the_working_directory_is_seen_and_cannot_be_changed(project: Path) -> None:
    with real_kernel(home(project), cwd=project) as kernel:
        cell = kernel.run("import os\nprint(os.getcwd())\nopen('data.csv').read()")
        assert cell.text() == f"{default_guest(project)}\n"
        assert cell.result == repr("a,b\n1,2\n")
        for code in ("open('new', 'w')", "os.remove('data.csv')", "os.mkdir('folder')"):
            cell = kernel.run(code)
            assert cell.ename in ("OSError", "PermissionError"), code
        code = (
            "import js\ntry: js.Deno.writeTextFileSync('{}', 'x')\nexcept Exception as e: print(e)"
        )
        assert "NotCapable" in kernel.run(code.format(project / "data.csv")).text()
        (project / "late.txt").write_text("late")
        assert kernel.run("open('late.txt').read()").result == "'late'"
    assert sorted(path.name for path in project.iterdir()) == ["data.csv", "late.txt", "sub"]


def test_the_working_directory_can_be_left_out(project: Path) -> None:
    with real_kernel(home(project), "--no-cwd", cwd=project) as kernel:
        cell = kernel.run("import os\nos.getcwd(), os.path.exists('data.csv'), os.listdir('/mnt')")
        assert cell.result == "('/home/pyodide', False, [])"


def test_mounting_the_working_directory_makes_it_writable(project: Path) -> None:
    with real_kernel(home(project), "--mount", ".", cwd=project) as kernel:
        assert kernel.run("open('made.txt', 'w').write('by code')").result == "7"
        assert (project / "made.txt").read_text() == "by code"
        assert kernel.run("import os\nos.listdir('/mnt')").result == repr(
            [default_guest(project).removeprefix("/mnt/")]
        )


def test_mounts_work_in_both_directions(project: Path) -> None:
    table = project / "data.csv"
    options = ("--mount", f"{project}/sub=/mnt/out", "--mount", f"{table}=/mnt/table.csv:ro")
    with real_kernel(home(project), *options, cwd=home(project)) as kernel:
        kernel.run("open('/mnt/out/x', 'w').write('1')")
        assert (project / "sub" / "x").read_text() == "1"
        (project / "sub" / "x").write_text("2")
        assert kernel.run("open('/mnt/out/x').read()").result == "'2'"
        kernel.run("import os\nos.replace('/mnt/out/x', '/mnt/out/y')")
        assert [path.name for path in (project / "sub").iterdir()] == ["y"]
        assert kernel.run("open('/mnt/table.csv').readline()").result == r"'a,b\n'"
        assert kernel.run("open('/mnt/table.csv', 'a')").status == "error"
        table.write_text("c\n")
        assert kernel.run("open('/mnt/table.csv').read()").result == r"'c\n'"


def test_nothing_beside_a_mount_is_reached(project: Path) -> None:
    (project / "secret").write_text("canary")
    (project / "sub" / "link").symlink_to(project / "secret")
    with real_kernel(home(project), "--mount", f"{project}/sub=/mnt/s", "--no-cwd") as kernel:
        assert kernel.run("open('/mnt/s/link').read()").status == "error"
        for path in (project / "sub" / "link", project / "sub" / ".." / "secret"):
            code = f"import js\ntry: print(js.Deno.readTextFileSync({str(path)!r}))\n"
            assert "canary" not in kernel.run(code + "except Exception as e: print(e)").text()


def test_named_variables_are_passed_and_no_others(tmp_path: Path) -> None:
    variables = {"CITY": "Kraków, café", "SECRET": "canary"}
    with real_kernel(tmp_path, "--allow-env=CITY,NOT_SET", env=variables) as kernel:
        cell = kernel.run("import os\n[os.environ.get(n) for n in ('CITY', 'SECRET', 'NOT_SET')]")
        assert cell.result == repr([variables["CITY"], None, None])


def test_python_gets_a_memory_error_at_the_limit_and_goes_on(tmp_path: Path) -> None:
    code = """
held = []
try:
    while True: held.append(bytearray(20_000_000))
except MemoryError:
    print(len(held))
    del held
"""
    with real_kernel(tmp_path, "--memory-limit=400MB") as kernel:
        kernel.run("kept = 1")
        idle = resident(kernel)
        assert 5 <= int(kernel.run(code).text()) < 20
        assert resident(kernel) < idle + 400 * SOME_MB
        assert kernel.run("kept").result == "1"


def test_javascript_gets_a_range_error_at_the_limit_or_loses_the_interpreter(
    tmp_path: Path,
) -> None:
    code = """
from pyodide.code import run_js
run_js('''(() => { const held = []; try {
  for (let i = 0; i < 100; i++) held.push(new Uint8Array(20_000_000).fill(1));
  return held.length } catch (error) { return error.name } })()''')
"""
    with real_kernel(tmp_path, "--memory-limit=400MB") as kernel:
        kernel.run("1")
        idle = resident(kernel)
        cell = kernel.run(code)
        # What V8 itself needs at that moment may not be there any more.
        assert cell.result == "'RangeError'" or "out of memory" in cell.evalue
        # Beside the limit there is what was reserved before and is used now, such as stacks.
        assert resident(kernel) < idle + 550 * SOME_MB
        assert kernel.run("40 + 2").result == "42"


def test_a_full_heap_of_javascript_ends_the_interpreter_with_a_message(tmp_path: Path) -> None:
    code = "from pyodide.code import run_js\nrun_js('let a = []; while (true) a.push({a: [1]})')"
    with real_kernel(tmp_path, "--memory-limit=300MB") as kernel:
        kernel.run("1")
        cell = kernel.run(code)
        assert cell.ename == "DeadKernelError"
        assert "out of memory" in cell.evalue
        assert kernel.run("40 + 2").result == "42"


def test_a_limit_of_open_files_is_an_os_error(project: Path) -> None:
    code = """
held = []
try:
    while True: held.append(open('data.csv'))
except OSError as error:
    print(error.errno == __import__('errno').EMFILE, len(held))
    del held
"""
    with real_kernel(home(project), "--open-files=128", cwd=project) as kernel:
        result = kernel.run(code).text().split()
        assert result[0] == "True"
        assert 40 < int(result[1]) < 128
        assert kernel.run("open('data.csv').read()[:3]").result == "'a,b'"


def test_a_cell_that_runs_too_long_is_interrupted_and_says_so(tmp_path: Path) -> None:
    with real_kernel(tmp_path, "--cell-timeout=0.5") as kernel:
        for code in ("while True: pass", "import asyncio\nawait asyncio.sleep(60)"):
            cell = kernel.run(f"kept = 1\n{code}")
            assert cell.ename == "KeyboardInterrupt"
            assert "0.5 s (--cell-timeout)" in cell.evalue
            assert "--cell-timeout" in cell.of("error")[0]["evalue"]
            assert kernel.run("kept").result == "1"


def test_a_cell_that_nothing_interrupts_loses_its_interpreter_at_its_timeout(
    tmp_path: Path,
) -> None:
    with real_kernel(tmp_path, "--cell-timeout=0.5", "--interrupt-grace=0.5") as kernel:
        cell = kernel.run("sum(range(10**12))")
        assert cell.ename == "DeadKernelError"
        assert "--cell-timeout" in cell.evalue
        assert kernel.run("40 + 2").result == "42"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--mount", "nowhere"], "'nowhere'"),
        (["--mount", "/proc:ro"], "'/proc:ro'"),
        (["--mount", "a=/x"], "'a=/x'"),
        (["--memory-limit", "1MB"], "'1MB'"),
        (["--PyodideKernel.memory_limit=5"], "memory_limit"),
    ],
)
def test_a_bad_setting_costs_one_line_and_exit_code_2(
    options: list[str], named: str, tmp_path: Path
) -> None:
    arguments = [
        part.replace("{connection_file}", str(tmp_path / "connection.json"))
        for part in kernel_spec(*options).argv
    ]
    environment = kernel_environment(tmp_path)
    done = subprocess.run(
        arguments, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


def resident(kernel: RealKernel) -> int:
    try:
        return int(kernel.deno().memory_info().rss)
    except (LookupError, psutil.NoSuchProcess):  # one interpreter has ended, the next one starts
        return 0
