"""What stands in for a studio: it says where it is and what it was sent, as Textual's driver does.

`python program.py MODE FOLDER`, where MODE is `good`; `stubborn`: will not leave; `chatty`: never
stops talking; `broken`: ends at once.
"""

import json
import os
import sys
import threading

mode, folder = sys.argv[1:]


def send(kind: bytes, payload: bytes) -> None:
    os.write(1, kind + len(payload).to_bytes(4, "big") + payload)


def say(text: str) -> None:
    send(b"D", text.encode())


def receive() -> tuple[bytes, bytes] | None:
    head = sys.stdin.buffer.read(5)
    if len(head) < 5:
        return None
    return head[:1], sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))


def talk() -> None:
    while True:
        say("bla " * 10_000)


if mode == "broken":
    sys.exit("it is broken")
os.write(1, b"__GANGLION__\n")
say(f"pid={os.getpid()};folder={folder};size={os.environ['COLUMNS']}x{os.environ['ROWS']};")
if mode == "chatty":
    threading.Thread(target=talk, daemon=True).start()
while packet := receive():
    kind, payload = packet
    if kind == b"D":
        say(f"typed={payload.decode()};")
        if payload == b"file":
            told = {"type": "deliver_file_start", "key": "k" * 32, "path": "/x/春.txt"}
            more = {"open_method": "download", "mime_type": "text/plain", "encoding": "utf-8"}
            send(b"M", json.dumps({**told, **more}).encode())
        continue
    message = json.loads(payload)
    if message["type"] == "quit" and mode != "stubborn":
        send(b"M", b'{"type": "exit"}')
        os._exit(0)
    elif message["type"] == "deliver_chunk_request":
        from textual._binary_encode import dump

        chunk = "" if mode == "sent" else "春眠不觉晓"
        mode = "sent"
        send(b"P", dump(("deliver_chunk", message["key"], chunk)))
    else:
        say(f"told={json.dumps(message)};")
if mode == "stubborn":
    threading.Event().wait()
