import json

from fame_lab.host.doctor.diagnosis import Ability, Check, Diagnosis, QemuCheck

GOOD = Check("cores", "ok", "2")
SLOW = Check("accelerator", "warn", "not tried", "make setup")
BAD = Check("QEMU", "fail", "missing", "apt-get install qemu-system-x86")


def test_a_warning_does_not_keep_a_lab_from_running() -> None:
    assert Diagnosis((GOOD, SLOW)).can_run


def test_one_failure_does() -> None:
    diagnosis = Diagnosis((GOOD, BAD, SLOW))
    assert not diagnosis.can_run
    assert "QEMU" in diagnosis.summary


def test_text_has_each_finding_and_how_to_mend_it() -> None:
    text = str(Diagnosis((GOOD, BAD)))
    assert "ok" in text and "fail" in text
    assert "-> apt-get install qemu-system-x86" in text


def test_html_is_escaped() -> None:
    page = Diagnosis((Check("<b>", "fail", "<script>alert(1)</script>", "a & b"),))._repr_html_()
    assert "<script>" not in page and "<b>" not in page
    assert "&lt;script&gt;" in page and "a &amp; b" in page


def test_html_sets_no_text_colour_but_the_verdicts() -> None:
    page = Diagnosis((GOOD,))._repr_html_()
    assert page.count("color:") == 1  # all else takes the notebook's own, dark or light


OLD = QemuCheck(
    "QEMU",
    "ok",
    "7.2.22 at /q",
    qemu="auto",
    path="/q",
    version="7.2.22",
    abilities=(Ability("starts nodes", True), Ability("counts accesses", False, "no <plugins>")),
)


def test_what_a_qemu_can_do_is_in_all_three_faces() -> None:
    diagnosis = Diagnosis((GOOD, OLD))
    assert "starts nodes: yes\n" in str(diagnosis)
    assert "counts accesses: no (no <plugins>)" in str(diagnosis)
    page = diagnosis._repr_html_()
    assert "starts nodes: yes" in page and "counts accesses: no (no &lt;plugins&gt;)" in page
    fields = json.loads(json.dumps(diagnosis.to_dict()))["checks"][1]
    assert (fields["qemu"], fields["version"], fields["path"]) == ("auto", "7.2.22", "/q")
    assert fields["abilities"][1] == {"name": "counts accesses", "works": False, "reason": "no <plugins>"}


def test_the_dictionary_is_json() -> None:
    answer = json.loads(json.dumps(Diagnosis((GOOD, BAD)).to_dict()))
    assert answer["can_run"] is False
    assert answer["checks"][1] == {
        "name": "QEMU", "verdict": "fail", "found": "missing", "mend": "apt-get install qemu-system-x86",
    }  # fmt: skip
