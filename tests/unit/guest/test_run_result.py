from pathlib import Path

import pytest
from IPython.lib.pretty import pretty

from fame_lab import Lab, LabSpec
from fame_lab.errors import CommandError
from fame_lab.guest.ssh.run_result import RunResult, RunResults
from fame_lab.lab.lab_html import lab_html, node_html

SPEC = LabSpec("demo", nodes=3, fam="64M", fam_path=Path("/srv/<fam>"))
FAILED = RunResult("out\n", "<b>no</b>\n", 3, 0.25, "ls <x>\necho", "node01")


def test_a_spec_and_a_lab_show_what_they_are_without_a_lab_running() -> None:
    for html in (SPEC._repr_html_(), Lab(SPEC)._repr_html_()):
        assert '<td style="text-align:left">3</td>' in html
        assert "64M (16 books of 4M" in html or "64M (8 books of 8M" in html
        assert "/srv/&lt;fam&gt;" in html
    assert "not started" in Lab(SPEC)._repr_html_()


def test_a_running_lab_names_its_nodes() -> None:
    assert "running: node01, node02, node03" in lab_html(SPEC, running=True)
    assert "running: node01 to node40" in lab_html(LabSpec("many", nodes=40), running=True)


def test_a_node_shows_its_lab() -> None:
    html = node_html("node02", SPEC)
    assert "<strong>node02</strong>" in html
    assert "64M, shared by 3 nodes" in html


def test_what_a_guest_said_is_escaped_and_its_status_stands_out() -> None:
    html = FAILED._repr_html_()
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "<b>no" not in html
    assert "<strong>exit status 3</strong>" in html
    assert "ls &lt;x&gt; …" in html


def test_a_long_output_is_cut_where_it_is_shown() -> None:
    html = RunResult("x" * 50_000, "", 0, 1.0, "yes", "node01")._repr_html_()
    assert len(html) < 21_000
    assert "30,000 characters more" in html


def test_in_a_terminal_a_result_is_its_streams() -> None:
    assert pretty(FAILED) == "node01: exit status 3, 0.25 s\nout\n<b>no</b>"
    both = RunResults(node01=FAILED, node02=RunResult("", "", 0, 1.0, "true", "node02"))
    assert pretty(both).endswith("</b>\nnode02: exit status 0, 1.00 s")


def test_results_are_a_dict_and_check_raises_the_first_failure() -> None:
    both = RunResults(node01=RunResult("", "", 0, 1.0, "true", "node01"), node02=FAILED)
    assert both["node02"] is FAILED
    with pytest.raises(CommandError, match="status 3"):
        both.check()


def test_a_network_s_addresses_are_shown() -> None:
    spec = LabSpec("demo", nodes=3, network="libvirt")
    assert "192.168.42.1 to 192.168.42.3, in 192.168.42.0/24" in spec._repr_html_()
    assert "192.168.42.2" in node_html("node02", spec)
    assert "192.168" not in node_html("node02", SPEC)
