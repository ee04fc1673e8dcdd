import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import HostError
from fame_lab.host.libvirt.qemu_monitor import bar2, fam_block, forwarded_port, qmp_result

# As QEMU 7.2 gives it.
USERNET = """Hub -1 (ssh):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  10       127.0.0.1 34255       10.0.2.15    22     0     0
"""
RAMBLOCK = """              Block Name    PSize              Offset               Used              Total
                    /FAM    4 KiB  0x0000000008000000 0x0000000004000000 0x0000000004000000 rw
"""
IVSHMEM = {"id": {"vendor": 0x1AF4, "device": 0x1110}, "regions": [{"bar": 2, "address": 1 << 35}]}

NAMES = st.sampled_from(
    ["return", "error", "desc", "devices", "id", "vendor", "device", "regions", "bar", "address"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(NAMES, children, max_size=4),
)


def test_what_qemu_answers_is_read() -> None:
    assert forwarded_port(USERNET) == 34255
    assert fam_block(RAMBLOCK) == 1 << 27
    assert qmp_result('{"return": [1]}') == [1]
    assert bar2([{"devices": [{"id": {"device": 1}}, IVSHMEM]}]) == 1 << 35


def test_a_bar_that_is_not_mapped_has_no_address() -> None:
    moved: dict[str, Any] = IVSHMEM | {"regions": [{"bar": 2, "address": (1 << 64) - 1}]}
    assert bar2([{"devices": [moved]}]) is None
    assert fam_block("") is None


def test_what_qemu_refuses_is_an_error_with_its_words() -> None:
    with pytest.raises(HostError, match="no such event"):
        qmp_result('{"error": {"class": "GenericError", "desc": "no such event"}}')


@pytest.mark.parametrize("port", ["0", "65536", "99999", "123456"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(HostError, match="forwards no port"):
        forwarded_port(USERNET.replace("34255", port))


@given(st.text() | JSON.map(json.dumps))
def test_whatever_qemu_returns_there_is_a_value_or_a_host_error(answer: str) -> None:
    for read in (qmp_result, forwarded_port):
        check(lambda: read(answer))  # noqa: B023
    assert fam_block(answer) is None or isinstance(fam_block(answer), int)


@given(JSON)
def test_whatever_devices_qemu_lists_there_is_an_address_or_none(buses: Any) -> None:
    for listed in (buses, [{"devices": buses}], [{"devices": [IVSHMEM | {"regions": buses}]}]):
        check(lambda: bar2(listed))  # noqa: B023


def test_an_answer_that_is_nested_without_an_end_is_refused() -> None:
    with pytest.raises(HostError):
        qmp_result("[" * 100_000)


def check(read: Any) -> None:
    try:
        read()
    except HostError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 2000
