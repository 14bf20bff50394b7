"""Runs a kit's driver and damages its events, to show that the judge of the fault harness notices.

    python3 faulty_driver.py drop|repeat|reorder|forget DRIVER ARGUMENTS…

drop: the fifth message of other users is lost. repeat: it is reported twice. reorder: it comes
after its successor. forget: an acknowledged message gets another number.
"""

import json
import subprocess
import sys
import threading

fault, command = sys.argv[1], sys.argv[2:]
driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def forward_commands() -> None:
    for line in sys.stdin:
        driver.stdin.write(line)
        driver.stdin.flush()
    driver.stdin.close()


threading.Thread(target=forward_commands, daemon=True).start()
messages = 0
stored = 0
held = None
for line in driver.stdout:
    event = json.loads(line)
    lines = [line]
    if event["event"] == "message":
        messages += 1
        if messages == 5 and fault == "drop":
            lines = []
        elif messages == 5 and fault == "repeat":
            lines = [line, line]
        elif messages == 5 and fault == "reorder":
            held, lines = line, []
        elif held is not None:
            lines, held = [line, held], None
    elif event["event"] == "stored":
        stored += 1
        if stored == 3 and fault == "forget":
            lines = [json.dumps(event | {"id": str(int(event["id"]) + 100000)}) + "\n"]
    for one in lines:
        sys.stdout.write(one)
    sys.stdout.flush()
driver.wait()
