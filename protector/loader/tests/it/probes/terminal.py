# Runs a command line by an interactive shell under a pseudo terminal: types a line, Ctrl-Z, `jobs`,
# `fg`, a second line and a last character, and prints what came of each step. Arguments: the command,
# twice what is typed and what the program answers to it at once, the last character. A program that
# does not answer at once is given no first line: a stop right behind a line throws typed text away.
import os, pty, signal, sys, time
command, first, answer, second, other, last = (arg.encode() for arg in sys.argv[1:])
pid, fd = pty.fork()
if pid == 0:
    # Whoever runs the tests in the background ignores it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ['PS1'] = '$ '
    os.execv('/bin/bash', ['bash', '--norc', '--noprofile', '--noediting', '-i'])
def until(text, seen=[b'']):
    while text not in seen[0]:
        seen[0] += os.read(fd, 4096)
    at = seen[0].index(text) + len(text)
    said, seen[0] = seen[0][:at], seen[0][at:]
    return said
def say(text): os.write(fd, text)
until(b'$ ')
shell = os.tcgetpgrp(fd)
say(b'stty -echo\n'); until(b'$ ')
def job():
    # (state, call) of each process of the foreground job; none while that is the shell.
    group = os.tcgetpgrp(fd)
    return processes(group) if group != shell else []
def processes(group):
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            fields = open('/proc/%s/stat' % pid).read().rsplit(') ', 1)[1].split()
            if int(fields[2]) == group:
                found.append((fields[0], open('/proc/%s/syscall' % pid).read()))
        except OSError: continue
    return found
def wait_for_reader():
    # Some process of the job is in read(0, ...): neither what is typed now nor the stop can come
    # while a program starts or is waited for by its parent without signals.
    reads = lambda: any(state == 'S' and call.startswith('0 0x0 ') for state, call in job())
    while not reads(): time.sleep(.005)
    return os.tcgetpgrp(fd)
def stop(group):
    # The shell looks at the first process of the job only; another may still be reading.
    say(b'\x1a'); until(b'Stopped'); until(b'$ ')
    while any(state not in 'TZ' for state, _ in processes(group)): time.sleep(.005)
say(command + b'\n'); group = wait_for_reader()
if first: say(first + b'\n'); until(answer)
stop(group); print('stopped')
say(b'jobs\n'); until(b'Stopped'); until(b'$ '); print('listed')
say(b'fg\n'); wait_for_reader()
say(second + b'\n'); until(other); print('goes on')
say(last); print([line for line in until(b'$ ').decode().split('\r\n') if 'last' in line])
say(b'echo status $?\n'); until(b'status '); print(until(b'\r\n').decode().strip())
say(b'exit\n'); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
