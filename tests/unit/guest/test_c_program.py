import shutil
import subprocess
from pathlib import Path

import pytest

from fame_lab.errors import HostError, SpecError
from fame_lab.guest.c_program import compile_c

ADDS = '#include <stdio.h>\nint main(int n, char **words) { printf("%d %s\\n", n, words[1]); return 7; }\n'


@pytest.mark.parametrize(
    "compilers",
    # zig compiles a C library before its first program, as it does at each set-up.
    ["the host's own", pytest.param("none but zig", marks=pytest.mark.soak)],
)
def test_a_program_is_compiled_and_static(
    tmp_path: Path, compilers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compilers == "none but zig":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    program = compile_c(ADDS, tmp_path / "program")
    done = subprocess.run([program, "x"], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("2 x\n", 7)
    # A program that needs an interpreter would need a C library in the guest.
    assert b"/ld-" not in program.read_bytes()[:4096]


def test_what_does_not_compile_says_where(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"does not compile:\n(?s:.)*2:"):
        compile_c("int main(void) {\n  retrun 0;\n}\n", tmp_path / "program")
    assert list(tmp_path.iterdir()) == []


def test_a_host_without_a_compiler_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(HostError, match="apt-get install gcc"):
        compile_c(ADDS, tmp_path / "program")
