"""The doctor: what is found, whether it will do, and what mends it."""

from siploadgen.report import summary
from siploadgen.run import doctor


def test_everything_has_a_finding():
    findings = doctor.examine()
    assert len({finding.name for finding in findings}) == len(findings) >= 8
    assert all(finding.mend for finding in findings if not finding.ok)


def test_buffers():
    small = doctor.check_buffer("rmem_max", lambda path: "212992")
    assert not small.ok
    assert small.mend == "sysctl -w net.core.rmem_max=8388608"
    assert any(small.mend in mend for mend in summary._MENDS.values())  # one figure everywhere
    assert doctor.check_buffer("wmem_max", lambda path: "26214400").ok
    assert not doctor.check_buffer("wmem_max", lambda path: "").ok


def test_ports():
    assert not doctor.check_ports(lambda path: "60000\t61000").ok
    assert doctor.check_ports(lambda path: "32768 60999").ok


def test_clocks():
    slow = doctor.check_clock(lambda path: "hpet" if "current" in path else "tsc hpet")
    assert not slow.ok
    assert slow.mend.startswith("echo tsc > ")
    assert doctor.check_clock(lambda path: "tsc").ok
    assert "faster" in doctor.check_clock(lambda path: "acpi_pm").mend


def test_governors():
    assert not doctor.check_governor(lambda path: "powersave").ok
    assert doctor.check_governor(lambda path: "performance").ok


def test_offload_that_there_is_not():
    finding = doctor.check_offload("UDP nothing", 9999, 1)
    assert not finding.ok
    assert "--gso off" in finding.mend
