import os
import pwd

from fame_lab.host.qemu_user import QemuUser


def test_a_users_primary_group_is_among_its_groups_whatever_group_libvirt_gives_it() -> None:
    me = pwd.getpwuid(os.getuid())
    assert me.pw_gid in QemuUser(me.pw_uid, 64055).groups()
    assert 64055 in QemuUser(me.pw_uid, 64055).groups()


def test_a_user_that_no_one_knows_has_its_own_group_alone() -> None:
    assert QemuUser(54321, 54322).groups() == [54322]
