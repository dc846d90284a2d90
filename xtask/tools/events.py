"""Judges events by the schemas of their types: python events.py <file of events> <folder of schemas>"""
import json
import pathlib
import sys

from jsonschema import Draft202012Validator

events, folder = json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2])
n_judged, n_wrong = 0, 0
for event in events:
    schema = folder / f"{event['type']}.json"
    if not schema.exists():
        continue
    n_judged += 1
    for error in Draft202012Validator(json.loads(schema.read_text())).iter_errors(event):
        n_wrong += 1
        print(f"{event['type']} at {error.json_path}: {error.message}")
# A payload without its fields is none.
call = {"type": "call.incoming", "payload": {}, "timestamp": "2025-10-25T12:00:00.123Z", "tenant_id": "t", "id": "e"}
if Draft202012Validator(json.loads((folder / "call.incoming.json").read_text())).is_valid(call):
    n_wrong += 1
    print("the schema of call.incoming refuses nothing")
print(f"{n_judged} events judged")
sys.exit(1 if n_wrong or n_judged < 30 else 0)
