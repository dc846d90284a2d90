//! Public keys and tokens made once with keys that were thrown away. All tokens: user 456 of
//! tenant-123, an admin, until 2100-01-01.

pub(super) const RS256_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7K7SlD7qmU89lipSltfV\n\
Lui7plSEroi/qTxCxcSjx4R86qwk0vyZoZH4of0AHrWI0eaKRn1oYekotLkAMEJs\n\
JfDPzSyd5UAg3U2I4uuzRZQ7YfDLay1dVIgq9TBg78V3dm1yKdXFpJI+VvFmmQb/\n\
qJDG6n8dVI/B7bnqn8bLaH7i4dklxoq7cVJZKRrjOrE0COlNPmJeF93w1dZoLLBX\n\
mcPjN6A+qyEPn3Z80e6B0MHns3dsoM+k2ImK8HR2CTglo24M5nu0r3P+bI4YtzkL\n\
rcUN863jefYWWUK4NBJQ3AGziz00QBDKDOqhSqYDYHFURqmt7rNXEv7s78MUYcNL\n\
nQIDAQAB\n\
-----END PUBLIC KEY-----\n";
pub(super) const RS256_TOKEN: &str = "\
eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjo0NTYsInRlbmFudF9pZCI6InRlbmFudC0xMjMiLCJyb2xlIjo\
iYWRtaW4iLCJleHAiOjQxMDI0NDQ4MDB9.50YUGUrtjwWT6mC3f2NPqDuzSOTwPLrtgNFtZRGrwzh_Vs48sKFCkYT3r6UBxS2-GP\
PB5f6ypNvUkcC2eKeJb05oSi2ExHy1aCIxrJbS6OW9jeWU5QXavY6JJabw7TYAtOORrvtWZ5EHAM_Se4xZGb5-v6YrqL3z1PDCFk\
gL5JlGJrauzBLkCwLSwFGW_KVSKRx5cr94u6RRRGaduXE4tOE1YXPEKRw4_fkrRaLGXmEEZm_dsx3pXLCe8l4nin5DlBMWV_JVji\
C1RQP_IiIb4WHwTfAlZUAklz3y_sI4nwjJuRs3G8JJkI9jtH2bmYIK7V6woUwR9bORWQntc2wIcg";

pub(super) const ES256_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDpHmoYEEaqzFLYSEgD1r7aEguQIK\n\
RqLzuhMW+W3dH67Ta8fX+WI1AZb8dK9IOaLv22x047FpHvxCWMF5Y6QGYg==\n\
-----END PUBLIC KEY-----\n";
pub(super) const ES256_TOKEN: &str = "\
eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjo0NTYsInRlbmFudF9pZCI6InRlbmFudC0xMjMiLCJyb2xlIjo\
iYWRtaW4iLCJleHAiOjQxMDI0NDQ4MDB9.k_VQfqujAbXtHBvTHzjudxIR6zYw3hUcTPnOKvcjf6E24-G19qZCD8FmcOM61b4fGk\
VU4ZDaetzfZSjXoPS5eg";

pub(super) const EDDSA_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MCowBQYDK2VwAyEAMVq6ztieK1krPwLrgPE8xrSJ9lySaJb6x5g8p8R2HCQ=\n\
-----END PUBLIC KEY-----\n";
pub(super) const EDDSA_TOKEN: &str = "\
eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjo0NTYsInRlbmFudF9pZCI6InRlbmFudC0xMjMiLCJyb2xlIjo\
iYWRtaW4iLCJleHAiOjQxMDI0NDQ4MDB9.R4fV_X2ANaMGBBlKg6rHdiDQUeFAsqa5dRXCYNNFhKwf1BTg9RdB9ovHwCmsFAGs1o\
H194ciQ_f5Rdr-4H93Dg";

// Keys with which no token of an algorithm that can be allowed verifies.

pub(super) const P384_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEEkeXbWP1PwBSZq/e6h6UKi1njGRVVWVB\n\
7wFbxKfJji4yDkIjGtRwXPcpgsMgwIUcY3KhWTMgxSpKtPYpmRVvABfRPOZq1oLx\n\
W4fN2qA0mIhi0oOhIii5A5IcZrogbsO+\n\
-----END PUBLIC KEY-----\n";

pub(super) const K256_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEnnKznMPD6t4FNensAKDviMQA9APv6N/4\n\
d3/w/FrrfJIPAfmDhsZl3YuuYkmYy4pX8Ayei0d80NVMQnTHPU3lcA==\n\
-----END PUBLIC KEY-----\n";

pub(super) const RSA1024_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDXSW3uEcjENxqeaEvtC2ZGu/Gu\n\
WNTbtoUd530mw2GSf4XkIYB7NMiyuVLWlCnACE13FbmSarHyZRqlU2FK5W3vZXyV\n\
zB/I9xSWnUi0sRpnRXang7ZRNHjU2gFsmk0e3CiXn2XCoEiEZ2FtWSSpEEIFf33f\n\
oBUJNMMXfnBV8lz3bQIDAQAB\n\
-----END PUBLIC KEY-----\n";

pub(super) const X25519_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MCowBQYDK2VuAyEAoeTc5HCx6J/hTcs9jaBv9VRK0iPK6s+lx3+pdcMLHDo=\n\
-----END PUBLIC KEY-----\n";

pub(super) const ED448_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MEMwBQYDK2VxAzoA2NZuptwfZ/e9sprhB/t4sYRw9YwQEPO+xlKYz34/qKVFaFj4\n\
zVtG6Vnn5oKDsjmPwelhGdc7ey2A\n\
-----END PUBLIC KEY-----\n";
