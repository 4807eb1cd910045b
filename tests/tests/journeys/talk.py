"""Talks to a program under a terminal of its own: waits for each question, then types the answer.

Arguments: the program and its arguments, then `--`, then question and answer in turn. What the
program says goes to stdout; its status is ours.
"""

import os
import pty
import select
import sys

split = len(sys.argv) - 1 - sys.argv[::-1].index("--")
program, talk = sys.argv[1:split], sys.argv[split + 1 :]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(program[0], program)
heard = b""
seen = 0
while True:
    ready, _, _ = select.select([terminal], [], [], 60)
    if not ready:
        sys.exit("nothing was said for a minute: " + heard[-300:].decode(errors="replace"))
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    heard += more
    while talk and talk[0].encode() in heard[seen:]:
        seen = heard.index(talk[0].encode(), seen) + len(talk[0].encode())
        os.write(terminal, talk[1].encode() + b"\n")
        talk = talk[2:]
sys.stdout.write(heard.decode(errors="replace").replace("\r\n", "\n"))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(f"never asked: {talk}" if talk and status == 0 else status)
