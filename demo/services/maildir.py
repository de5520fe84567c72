"""Where the demo's mail goes: one Maildir a mailbox."""

from __future__ import annotations

import mailbox
import re
from pathlib import Path


def folder_name(local_part: str) -> str:
    """The directory of a mailbox: lower case, and anything that a path could take amiss as %XX.

    Two mailboxes never share a directory, but for upper and lower case, which
    no mail server of today tells apart.
    """
    safe = re.sub(r"[^a-z0-9_+.-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), local_part.lower())
    return re.sub(r"^\.", "%2E", safe)


def deliver(folder: Path, mail: bytes) -> str:
    """Store one mail in the Maildir `folder`; its key.  Raises OSError, and then nothing was stored.

    The directories are made one by one, for whoever was killed between two of
    them would leave a Maildir that `mailbox` takes for complete.
    """
    for part in ("tmp", "new", "cur"):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return mailbox.Maildir(folder, create=False).add(mail.replace(b"\r\n", b"\n"))
    except mailbox.Error as error:
        raise OSError(str(error)) from error
