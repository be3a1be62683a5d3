#!/usr/bin/python3
"""A captured sensor: it answers pings, and asks for files as fast as it can without taking one."""
import os
import select
import socket
import struct

OPEN, LIST, PING, PONG, QUIT = (int(n) for n in os.environ["HAUBERK_NUMBERS"].split(","))
supervisor, decider = (socket.socket(fileno=n) for n in (3, 4))
for one in (supervisor, decider):
    one.setblocking(True)
    one.send(one.recv(65536))  # its HELLO is ours: the same build
supervisor.setblocking(False)
takes = os.environ["HAUBERK_TAKES"] == "1"
questions = [struct.pack("<HHIHHI", OPEN, 0, 16, 0, 0, 1), struct.pack("<HHIHxxxxxx", LIST, 0, 16, 0)]
n = 0
while True:
    readable, writable, _ = select.select([supervisor], [supervisor], [])
    if readable and (takes or n < 1000):
        frame, descriptors, _, _ = socket.recv_fds(supervisor, 65536, 2)
        for fd in descriptors:
            os.close(fd)
        kind = struct.unpack_from("<H", frame)[0] if frame else QUIT
        if kind == PING:
            supervisor.send(struct.pack("<HHI", PONG, 0, 16) + frame[8:])
        if kind == QUIT:
            break
    if writable:
        try:
            supervisor.send(questions[n % 2])
            n += 1
        except BlockingIOError:
            pass
