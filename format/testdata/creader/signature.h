/* [6] Digest and signature: the form of a signature and its checksum, and the digest that it is of. Whose it
 * is, Ed25519 would tell, which is not for this reader: it is over the 48 bytes of `signed_message`. */

static uint32_t rotate(uint32_t v, int by) { return v >> by | v << (32 - by); }
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void sha256_block(uint32_t h[8], const uint8_t *p) {
    uint32_t w[64], v[8];
    for (int k = 0; k < 16; k++) w[k] = (uint32_t)p[4 * k] << 24 | (uint32_t)p[4 * k + 1] << 16 | (uint32_t)p[4 * k + 2] << 8 | p[4 * k + 3];
    for (int k = 16; k < 64; k++)
        w[k] = w[k - 16] + w[k - 7] + (rotate(w[k - 15], 7) ^ rotate(w[k - 15], 18) ^ w[k - 15] >> 3) + (rotate(w[k - 2], 17) ^ rotate(w[k - 2], 19) ^ w[k - 2] >> 10);
    memcpy(v, h, sizeof v);
    for (int k = 0; k < 64; k++) {
        uint32_t t = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + round_constants[k] + w[k];
        uint32_t u = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t, v[0] = t + u;
    }
    for (int k = 0; k < 8; k++) h[k] += v[k];
}
static void sha256(const uint8_t *data, uint64_t size, uint8_t sum[32]) {
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t last[128] = {0};
    uint64_t rest = size % 64, padded = rest < 56 ? 64 : 128;
    for (uint64_t k = 0; k + 64 <= size; k += 64) sha256_block(h, data + k);
    memcpy(last, data + size - rest, rest);
    last[rest] = 0x80;
    for (int k = 0; k < 8; k++) last[padded - 1 - k] = (uint8_t)(8 * size >> 8 * k);
    for (uint64_t k = 0; k < padded; k += 64) sha256_block(h, last + k);
    for (int k = 0; k < 32; k++) sum[k] = (uint8_t)(h[k / 4] >> (24 - 8 * (k % 4)));
}

static uint32_t crc_of_bytes(const uint8_t *bytes, uint64_t count) {
    uint32_t crc = 0xFFFFFFFF;
    for (uint64_t k = 0; k < count; k++) {
        crc ^= bytes[k];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
    }
    return ~crc;
}

static uint8_t signed_message[48] = "simb signature 1"; /* then the digest */

/* Checks the digest and the form of the signature, and tells whether there is one. */
static void read_signature(void) {
    uint64_t digest_length, length, digest = vector(4, 1, &digest_length), signature = vector(5, 1, &length);
    uint8_t *blank = get(file_size);
    if (digest_length != 32) die("a digest of another length");
    memcpy(blank, file, file_size);
    memset(blank + digest, 0, 32);
    if (field(6)) memset(blank + field(6), 0, 4);
    if (signature) {
        if (length != 64) die("a signature of another length");
        if (crc_of_bytes(at(signature, 64), 64) != scalar(6, 4)) die("the checksum of the signature differs");
        memset(blank + signature, 0, 64);
    } else if (scalar(6, 4)) die("a checksum without a signature");
    sha256(blank, file_size, signed_message + 16);
    if (memcmp(signed_message + 16, at(digest, 32), 32)) die("the digest differs");
    free(blank);
    printf("%s, sequence %llu\n", signature ? "signed" : "not signed", (unsigned long long)scalar(22, 8));
}
