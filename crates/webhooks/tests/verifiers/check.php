// Runs the functions above, taken from docs/webhooks.md, over the cases of the test.
$failed = 0;
foreach (json_decode(file_get_contents($argv[1]), true) as $case) {
    $headers = $case['headers'];
    $isHex = isGenuine($case['body'], $headers['x-webhook-signature'] ?? '', $case['secret'])
        || isGenuine($case['body'], $headers['x-webhook-signature-new'] ?? '', $case['secret']);
    $isStandard = isGenuineStandard($case['body'], $headers, $case['secret']);
    if ($isHex !== $case['hex'] || $isStandard !== $case['standard']) {
        fwrite(STDERR, "{$case['name']}: hex " . json_encode($isHex) . ', standard ' . json_encode($isStandard) . "\n");
        $failed = 1;
    }
}
exit($failed);
