# The Standard Webhooks library of Python over the cases of the test.
import json
import sys

from standardwebhooks.webhooks import Webhook

failed = False
for case in json.load(open(sys.argv[1])):
    if not case["secret"].startswith("whsec_"):
        continue  # the library knows no other secrets
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"])
        is_good = True
    except Exception:
        is_good = False
    if is_good != case["standard"]:
        print(f"{case['name']}: {is_good}", file=sys.stderr)
        failed = True
sys.exit(failed)
