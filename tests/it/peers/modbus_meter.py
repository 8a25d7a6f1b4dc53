"""A Modbus meter made with pymodbus: input registers (function 04) with values that a test draws.

usage: modbus_meter.py VALUES.json
VALUES.json: {"port": 1502, "framing": "socket" | "rtu", "units": {"1": {"52": 1.5, ...}, ...},
              "late_every": 0, "late_s": 0.3, "drop_every": 0, "swap_every": 0, "line": false}
An address is a register from 0; each value is an IEEE 754 float in two registers, high word first.
Every nth answer is late, lost, or held back and sent in place of the next one; 0 is never.
With "line" the meter hangs on a terminal, left as the system hands it out: with echo and editing.
The log names it, and how whoever writes to it has set it.
"""
import asyncio
import json
import os
import pty
import sys
import termios
import time

from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

with open(sys.argv[1], encoding="utf-8") as file:
    CASE = json.load(file)

answers = 0
held = None


def device(number, values):
    blocks = []
    free = 0
    for address, value in sorted((int(at), value) for at, value in values.items()):
        if address > free:
            filler = SimData(free, count=address - free, values=0, datatype=DataType.REGISTERS)
            blocks.append(filler)
        blocks.append(SimData(address, values=value, datatype=DataType.FLOAT32))
        free = address + 2
    bits = [SimData(0, count=16, values=False, datatype=DataType.BITS)]
    holding = [SimData(0, count=2, values=0, datatype=DataType.REGISTERS)]
    return SimDevice(id=number, simdata=(bits, bits, holding, blocks))


def disturb(sending, packet):
    global answers, held
    if not sending:
        return packet
    answers += 1

    def nth(name):
        every = CASE.get(name, 0)
        return every and answers % every == 0

    if nth("drop_every"):
        return b""
    if nth("swap_every") and held is None:
        held = packet
        return b""
    if held is not None:
        packet, held = held, None
    if nth("late_every"):
        time.sleep(CASE["late_s"])
    return packet


def setting(terminal):
    speeds = {getattr(termios, f"B{n}"): n for n in (9600, 19200, 38400)}
    read, write, control, local, speed, _, _ = termios.tcgetattr(terminal)
    stop_bits = 2 if control & termios.CSTOPB else 1
    return f"{speeds.get(speed)} baud, {stop_bits} stop, {read} {write} {local}"


async def hang_on_a_line():
    ours, terminal = pty.openpty()
    reader, writer = await asyncio.open_connection("127.0.0.1", CASE["port"])
    seen = set()

    def asked():
        if setting(terminal) not in seen:
            seen.add(setting(terminal))
            print("line is set:", setting(terminal), flush=True)
        writer.write(os.read(ours, 256))

    asyncio.get_running_loop().add_reader(ours, asked)
    print("line", os.ttyname(terminal), flush=True)
    while answer := await reader.read(256):
        os.write(ours, answer)


async def main():
    framer = FramerType.SOCKET if CASE["framing"] == "socket" else FramerType.RTU
    devices = [device(int(number), values) for number, values in CASE["units"].items()]
    address = ("127.0.0.1", CASE["port"])
    server = ModbusTcpServer(devices, framer=framer, address=address, trace_packet=disturb)
    if CASE.get("line"):
        await server.serve_forever(background=True)
        await hang_on_a_line()
    print("listening", CASE["port"], flush=True)
    await server.serve_forever()


asyncio.run(main())
