"""The first program inside the sandbox: takes on the limits, then becomes the code's command.

Runs in the sandbox as a text given to `python3 -c`, so it may import the standard library only.
Arguments: the limits as JSON, then the command.
"""

import json
import os
import resource
import sys

if __name__ == "__main__":
    limits, command = json.loads(sys.argv[1]), sys.argv[2:]
    for kind, value in (
        (resource.RLIMIT_CPU, int(limits["seconds"]) + 1),
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_FSIZE, limits["disk"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    if user := limits["user"]:  # we are root: become nobody for good, capabilities go with it
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
