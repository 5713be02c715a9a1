# Paste this into a PowerShell that runs as administrator: all users of this machine will trust the registry 192.168.0.12.
# Authority, SHA-256: EE:AC:EF:9C:0F:43:81:5D:AA:C8:DC:77:5F:F3:E7:3B:09:6B:1F:F1:BF:2D:D4:B6:8E:D6:A4:0B:4C:29:2A:C3
& {
  $ErrorActionPreference = 'Stop'
  $path = Join-Path ([IO.Path]::GetTempPath()) 'trusted-registry-eeacef9c0f43815d.crt'
  Set-Content -LiteralPath $path -Encoding ascii -Value @'
-----BEGIN CERTIFICATE-----
MIIC5DCCAomgAwIBAgIQewcVa/2MDhzGWQ9qnvC1lDAKBggqhkjOPQQDAjBZMRkw
FwYDVQQKDBB0cnVzdGVkLXJlZ2lzdHJ5MTwwOgYDVQQDDDN0cnVzdGVkLXJlZ2lz
dHJ5IGF1dGhvcml0eSB2bS5sb2NhbCAyMDI2LTExLTIzIDUzZjkwHhcNMjYxMTIz
MTU1NTI3WhcNMzYxMTIwMTU1NTI3WjBZMRkwFwYDVQQKDBB0cnVzdGVkLXJlZ2lz
dHJ5MTwwOgYDVQQDDDN0cnVzdGVkLXJlZ2lzdHJ5IGF1dGhvcml0eSB2bS5sb2Nh
bCAyMDI2LTExLTIzIDUzZjkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQigUCl
boySB8NJ7Bl3AP3kpwf6EROZhUEKKSwlxXqjiHXaV2mnOHFrzUc/YWYOVkADo3/c
eJGlRKjeuozOBOA6o4IBMTCCAS0wEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8B
Af8EBAMCAQYwHQYDVR0OBBYEFBYWmORWgX+JVJjihzzHk12JyjwBMIHnBgNVHR4B
Af8EgdwwgdmggdYwC4IJbG9jYWxob3N0MAeCBWxvY2FsMAqHCAoAAAD/AAAAMAqH
CKwQAAD/8AAAMAqHCMCoAAD//wAAMAqHCGRAAAD/wAAAMAqHCKn+AAD//wAAMAqH
CH8AAAD/AAAAMCKHIAAAAAAAAAAAAAAAAAAAAAH/////////////////////MCKH
IPwAAAAAAAAAAAAAAAAAAAD+AAAAAAAAAAAAAAAAAAAAMCKHIP6AAAAAAAAAAAAA
AAAAAAD/wAAAAAAAAAAAAAAAAAAAMAqHCMAAAgL/////MAoGCCqGSM49BAMCA0kA
MEYCIQDh6sXP0xd06PIgUfZPD0haik7oNIsNGHJiRTykJIP88gIhAN2n9pgYkJTN
df6eAEWJp1BX8fk4fbgN20v932Dy/VLz
-----END CERTIFICATE-----
'@
  try {
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList $path
    $hash = [Security.Cryptography.SHA256]::Create().ComputeHash($certificate.RawData)
    $found = [BitConverter]::ToString($hash) -replace '-', ':'
    $expected = 'EE:AC:EF:9C:0F:43:81:5D:AA:C8:DC:77:5F:F3:E7:3B:09:6B:1F:F1:BF:2D:D4:B6:8E:D6:A4:0B:4C:29:2A:C3'
    if ($found -ne $expected) { throw "This is another certificate: $found" }
    certutil -addstore -f ROOT $path
    if ($LASTEXITCODE -ne 0) { throw 'certutil refused. Is this PowerShell run as administrator?' }
    "Trusted: $found"
  } finally { Remove-Item -LiteralPath $path }
}
# Docker Desktop copies the certificates into its machine when it starts: docker desktop restart
# To see whether it is trusted:
#   certutil -store ROOT C542CBE77A5D68E40BB1B1FC837632CEC3818352
# To undo it:
#   certutil -delstore ROOT C542CBE77A5D68E40BB1B1FC837632CEC3818352
