#!/usr/bin/env bash
# Makes the corpus of time-stamp tokens, good and bad, with `openssl ts`, `openssl cms` and `openssl ca`:
# `make.sh FOLDER`. Needs OpenSSL 3. The keys are thrown away; nobody can make another token of these
# authorities, and they prove nothing to anybody. What is written is committed beside this script, so that
# the tests need it only to compare with the installed OpenSSL.
#
# Every token is over `message`, and in `cases.tsv` with what is expected of it:
# name, token file, request file or `-`, roots, archive or `-`, policies or `-`, ours, openssl's.
set -euo pipefail
out=$(mkdir -p "${1:?a folder}" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
exec 2>"$work/log"
trap 'cat "$work/log" >&2; rm -rf "$work"' ERR

cat > ca.cnf <<'C'
[req]
distinguished_name = none
prompt = no
[none]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[between]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa_not_critical]
extendedKeyUsage = timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa_two_purposes]
extendedKeyUsage = critical, timeStamping, codeSigning
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa_other_purpose]
extendedKeyUsage = critical, codeSigning
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa_no_purpose]
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ca]
default_ca = issuing
[issuing]
database = index.txt
crlnumber = crlnumber
serial = number
new_certs_dir = .
policy = policy
default_md = sha256
default_crl_days = 36500
unique_subject = no
[policy]
organizationName = optional
commonName = supplied
C

# key NAME KIND
key() {
  case $2 in
    p256) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" ;;
    p384) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$1.key" ;;
    p521) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out "$1.key" ;;
    rsa) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out "$1.key" ;;
  esac
}
# root NAME KIND
root() {
  key "$1" "$2"
  openssl req -x509 -new -key "$1.key" -subj "/O=Example Authority (synthetic)/CN=$1" -days 36500 \
    -config ca.cnf -extensions root -set_serial 1 -out "$1.pem"
}
serial=100
# issue NAME KIND ISSUER EXTENSIONS
issue() {
  local name=$1 kind=$2 issuer=$3 extensions=$4

  serial=$((serial + 1))
  key "$name" "$kind"
  openssl req -new -key "$name.key" -subj "/O=Example Authority (synthetic)/CN=$name" -config ca.cnf -out "$name.csr"
  openssl x509 -req -in "$name.csr" -CA "$issuer.pem" -CAkey "$issuer.key" -set_serial $serial -extfile ca.cnf \
    -extensions "$extensions" -days 36500 -out "$name.pem"
}

root root p384
root other_root p256
issue between p256 root between
issue tsa_p256 p256 between tsa
issue tsa_p384 p384 between tsa
issue tsa_p521 p521 between tsa
issue tsa_rsa rsa between tsa
issue tsa_direct rsa root tsa
issue tsa_not_critical p256 between tsa_not_critical
issue tsa_two_purposes p256 between tsa_two_purposes
issue tsa_other_purpose p256 between tsa_other_purpose
issue tsa_no_purpose p256 between tsa_no_purpose
issue tsa_revoked p256 between tsa
issue tsa_superseded p256 between tsa
issue tsa_other p256 between tsa

printf 'example checkpoint\n20\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n' > message
printf 'another message\n' > other_message
openssl ts -query -data message -sha256 -cert -out asked.tsq
openssl ts -query -data message -sha256 -cert -no_nonce -out no_nonce.tsq
openssl ts -query -data message -sha512 -cert -no_nonce -out sha512.tsq
openssl ts -query -data message -sha384 -cert -no_nonce -out sha384.tsq
openssl ts -query -data message -sha1 -cert -no_nonce -out sha1.tsq
openssl ts -query -data message -sha256 -no_nonce -out no_cert.tsq
openssl ts -query -data message -sha256 -cert -no_nonce -tspolicy 1.3.6.1.4.1.99999.2 -out policy.tsq
openssl ts -query -data other_message -sha256 -cert -no_nonce -out other.tsq

# stamp QUERY SIGNER OUT [SETTING=VALUE...]: a token (not a whole response) by `openssl ts -reply`.
stamp() {
  local query=$1 signer=$2 token=$3
  shift 3
  echo 01 > serial
  {
    echo '[tsa]'
    echo 'default_tsa = it'
    echo '[it]'
    echo 'serial = serial'
    echo 'crypto_device = builtin'
    echo "signer_cert = $signer.pem"
    echo "signer_key = $signer.key"
    echo 'certs = between.pem'
    echo 'signer_digest = sha256'
    echo 'default_policy = 1.3.6.1.4.1.99999.1'
    echo 'other_policies = 1.3.6.1.4.1.99999.2'
    echo 'digests = sha1, sha256, sha384, sha512'
    echo 'ess_cert_id_chain = no'
    echo 'ess_cert_id_alg = sha256'
    for setting in "$@"; do echo "${setting%%=*} = ${setting#*=}"; done
  } > ts.cnf
  openssl ts -reply -queryfile "$query" -config ts.cnf -token_out -out "$token.tst"
}

rows=()
# case NAME TOKEN REQUEST ROOTS ARCHIVE POLICIES OURS OPENSSL
row() { rows+=("$(printf '%s\t' "$@" | sed 's/\t$//')"); }

stamp asked.tsq tsa_p256 p256
row plain p256.tst asked.tsq root.pem - - good good
stamp no_nonce.tsq tsa_p384 p384 signer_digest=sha384
row p384 p384.tst - root.pem - - good good
stamp sha512.tsq tsa_p521 p521 signer_digest=sha512
row p521 p521.tst - root.pem - - good good
stamp asked.tsq tsa_rsa rsa
row rsa rsa.tst asked.tsq root.pem - - good good
stamp no_nonce.tsq tsa_rsa rsa512 signer_digest=sha512
row rsa_sha512 rsa512.tst - root.pem - - good good
stamp no_nonce.tsq tsa_direct direct certs=root.pem
row directly_under_the_root direct.tst - root.pem - - good good
stamp sha384.tsq tsa_p256 imprint384
row imprint_sha384 imprint384.tst - root.pem - - good good
stamp no_nonce.tsq tsa_p256 fraction clock_precision_digits=3 accuracy=secs:1,millisecs:500,microsecs:100
row fraction_and_accuracy fraction.tst - root.pem - - good good
stamp no_nonce.tsq tsa_p256 seconds accuracy=secs:1
row accuracy_in_seconds seconds.tst - root.pem - - good good
stamp no_nonce.tsq tsa_p256 ordered ordering=yes tsa_name=yes
row ordered_and_named ordered.tst - root.pem - - good good
stamp no_nonce.tsq tsa_p256 ess_v1 ess_cert_id_alg=sha1
row certificate_id_by_sha1 ess_v1.tst - root.pem - - good good
stamp no_nonce.tsq tsa_p256 ess_sha512 ess_cert_id_alg=sha512
row certificate_id_by_sha512 ess_sha512.tst - root.pem - - good good
stamp no_nonce.tsq tsa_p256 ess_chain ess_cert_id_chain=yes
row certificate_ids_of_the_chain ess_chain.tst - root.pem - - good good
stamp policy.tsq tsa_p256 policy
row policy_that_is_accepted policy.tst - root.pem - 1.3.6.1.4.1.99999.2 good good
stamp no_cert.tsq tsa_p256 bare
cat tsa_p256.pem between.pem > archive.pem
row certificates_from_the_archive bare.tst - root.pem archive.pem - good good

row wrong_root p256.tst - other_root.pem - - path bad
row certificate_is_not_here bare.tst - root.pem - - no_certificate bad
stamp other.tsq tsa_p256 other_message
row other_message other_message.tst - root.pem - - other_message bad
stamp sha1.tsq tsa_p256 sha1
row imprint_sha1 sha1.tst - root.pem - - algorithm good
row nonce_of_another_request p384.tst asked.tsq root.pem - - other_nonce bad
row policy_that_is_not_accepted p256.tst - root.pem - 1.3.6.1.4.1.99999.2 policy -

# openssl ts refuses to sign by a certificate of the wrong purpose, so these are signed by openssl cms:
# crafted NAME SIGNER [OPTIONS...]
openssl ts -reply -queryfile no_nonce.tsq -config ts.cnf -token_out -out inner.tst
openssl cms -verify -noverify -inform DER -in inner.tst -out info.der -binary
crafted() {
  local name=$1 signer=$2
  shift 2
  openssl cms -sign -binary -nodetach -outform DER -econtent_type 1.2.840.113549.1.9.16.1.4 -nosmimecap -md sha256 \
    -signer "$signer.pem" -inkey "$signer.key" -certfile between.pem "$@" -in info.der -out "$name.tst"
}
crafted cades tsa_p256 -cades
row by_cms cades.tst - root.pem - - good good
crafted no_ess tsa_p256
row no_certificate_id no_ess.tst - root.pem - - no_certificate_id bad
crafted key_id tsa_p256 -cades -keyid
# OpenSSL reads tokens as PKCS #7, which knows no key identifiers; CMS does (RFC 5652 section 5.3).
row signer_by_key_identifier key_id.tst - root.pem - - good bad
crafted not_critical tsa_not_critical -cades
row purpose_not_critical not_critical.tst - root.pem - - purpose bad
crafted two_purposes tsa_two_purposes -cades
row two_purposes two_purposes.tst - root.pem - - purpose bad
crafted other_purpose tsa_other_purpose -cades
row other_purpose other_purpose.tst - root.pem - - purpose bad
crafted no_purpose tsa_no_purpose -cades
row no_purpose no_purpose.tst - root.pem - - purpose bad
openssl cms -sign -binary -nodetach -outform DER -nosmimecap -md sha256 -signer tsa_p256.pem -inkey tsa_p256.key -cades \
  -certfile between.pem -in info.der -out other_content.tst
row content_of_another_kind other_content.tst - root.pem - - not_a_time_stamp bad
crafted two_signers tsa_p256 -cades -signer tsa_other.pem -inkey tsa_other.key
row two_signers two_signers.tst - root.pem - - signers bad
openssl cms -sign -binary -nodetach -outform DER -econtent_type 1.2.840.113549.1.9.16.1.4 -nosmimecap -noattr -md sha256 \
  -signer tsa_p256.pem -inkey tsa_p256.key -certfile between.pem -in info.der -out no_attributes.tst
row no_signed_attributes no_attributes.tst - root.pem - - attributes bad

# A certificate that ended before the stamp.
touch index.txt
key tsa_ended p256
openssl req -new -key tsa_ended.key -subj "/O=Example Authority (synthetic)/CN=tsa_ended" -config ca.cnf -out tsa_ended.csr
echo 99 > number
openssl ca -batch -notext -config ca.cnf -cert between.pem -keyfile between.key -extfile ca.cnf -extensions tsa \
  -startdate 20200101000000Z -enddate 20210101000000Z -in tsa_ended.csr -out tsa_ended.pem
crafted ended tsa_ended -cades
row certificate_had_ended ended.tst - root.pem - - expired bad

# Revocation: for a stolen key, and for a reason that leaves earlier stamps valid.
stamp no_nonce.tsq tsa_revoked revoked
stamp no_nonce.tsq tsa_superseded superseded
echo 01 > crlnumber
openssl ca -config ca.cnf -cert between.pem -keyfile between.key -gencrl -out before.crl
sleep 2
openssl ca -config ca.cnf -cert between.pem -keyfile between.key -revoke tsa_revoked.pem -crl_reason keyCompromise -policy policy
openssl ca -config ca.cnf -cert between.pem -keyfile between.key -revoke tsa_superseded.pem -crl_reason superseded -policy policy
openssl ca -config ca.cnf -cert between.pem -keyfile between.key -gencrl -out between.crl
row key_was_stolen revoked.tst - root.pem between.crl - revoked bad
# Here RFC 3161 section 4 and `openssl ts -verify -crl_check` differ; see the decision.
row replaced_after_the_stamp superseded.tst - root.pem between.crl - good bad
row not_on_the_list p256.tst asked.tsq root.pem between.crl - good good
# An archive gathers lists over the years: each of them counts, whatever stands first.
cat before.crl between.crl > lists.crl
row key_was_stolen_says_the_second_list revoked.tst - root.pem lists.crl - revoked bad
# The last byte of the signature is another one.
openssl crl -in between.crl -outform DER -out list.der
last=$(tail -c 1 list.der | od -An -tu1 | tr -d ' ')
{
  echo "-----BEGIN X509 CRL-----"
  { head -c -1 list.der; printf "\\x$(printf %02x $((255 - last)))"; } | base64 -w 64
  echo "-----END X509 CRL-----"
} > forged.crl
row list_is_forged p256.tst asked.tsq root.pem forged.crl - list bad

cp message root.pem other_root.pem archive.pem between.crl lists.crl forged.crl between.pem asked.tsq ./*.tst "$out"
rm -f "$out/inner.tst"
printf '%s\n' "${rows[@]}" > "$out/cases.tsv"
