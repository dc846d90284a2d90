// Runs the functions below, taken from docs/webhooks.md, over the cases of the test.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	var cases []struct {
		Name, Body, Secret string
		Headers            map[string]string
		Hex, Standard      bool
	}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		panic(err)
	}
	for _, c := range cases {
		header := http.Header{}
		for name, value := range c.Headers {
			header.Set(name, value)
		}
		body := []byte(c.Body)
		isHex := isGenuine(body, header.Get("X-Webhook-Signature"), c.Secret) ||
			isGenuine(body, header.Get("X-Webhook-Signature-New"), c.Secret)
		isStandard := isGenuineStandard(body, header, c.Secret)
		if isHex != c.Hex || isStandard != c.Standard {
			fmt.Fprintf(os.Stderr, "%s: hex %v, standard %v\n", c.Name, isHex, isStandard)
			defer os.Exit(1)
		}
	}
}

