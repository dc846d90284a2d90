# Runs the functions above, taken from docs/webhooks.md, over the cases of the test.
import json
import sys

failed = False
for case in json.load(open(sys.argv[1])):
    body, headers, secret = case["body"].encode(), case["headers"], case["secret"]
    names = ["x-webhook-signature", "x-webhook-signature-new"]
    is_hex = any(is_genuine(body, headers.get(name), secret) for name in names)
    is_standard = is_genuine_standard(body, headers, secret)
    if (is_hex, is_standard) != (case["hex"], case["standard"]):
        print(f"{case['name']}: hex {is_hex}, standard {is_standard}", file=sys.stderr)
        failed = True
sys.exit(failed)
