"""Writes deploy/seccomp-chromium.json: which system calls the renderer's container may make.

Chromium's sandbox is made of user, process and network namespaces and a chroot, which Docker's own profile forbids to
whoever has no capability. This profile allows them, and otherwise what systemd's group @system-service allows services,
without the groups below; everything else does not exist (ENOSYS). As in Docker's, `personality` and sockets are
limited. `scripts/seccomp_profile.py [FILE]`; needs systemd-analyze, whose lists it asks for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).parents[1] / "deploy" / "seccomp-chromium.json"
ALLOWED = ("@system-service",)
FORBIDDEN = (
    "@keyring",
    "@clock",
    "@cpu-emulation",
    "@debug",
    "@module",
    "@mount",
    "@obsolete",
    "@raw-io",
    "@reboot",
    "@swap",
)
UNSAFE = (  # Docker forbids or limits them as well
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kcmp",
    "name_to_handle_at",
    "personality",
    "process_vm_readv",
    "process_vm_writev",
    "userfaultfd",
    "vmsplice",
)
SANDBOX = ("chroot", "seccomp")  # clone, unshare and setns are in @process
ENOSYS = 38
AF_VSOCK = 40
PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)  # those that change nothing that matters, and asking


def group(name: str) -> set[str]:
    """The system calls of one of systemd's groups, those of the groups in it included."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    words = [line.strip() for line in done.stdout.splitlines()[1:]]
    words = [word for word in words if word and not word.startswith("#")]
    return {call for word in words for call in (group(word) if word.startswith("@") else {word})}


def _all(names: tuple[str, ...]) -> set[str]:
    return {call for name in names for call in group(name)}


def profile() -> dict[str, object]:
    allowed = _all(ALLOWED) - _all(FORBIDDEN)
    plain = sorted((allowed - set(UNSAFE) | set(SANDBOX)) - {"socket"})
    not_vsock = {"index": 0, "value": AF_VSOCK, "op": "SCMP_CMP_NE"}
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        ],
        "syscalls": [
            {"names": plain, "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [not_vsock]},
            *(
                {
                    "names": ["personality"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}],
                }
                for value in PERSONALITIES
            ),
        ],
    }


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    target.write_text(json.dumps(profile(), indent=2) + "\n")
