/* Reads a raw or packed .simb file, runs its self-test cases and prints what came out. Written from SPEC.md,
 * PACKED.md and PREFIX.md alone, to show that they suffice; the numbers in brackets are SPEC.md's sections. It checks
 * every offset that it follows, the digest and the form of a signature, but not the meaning: it is no
 * verifying reader, and has no Ed25519 to tell whose a signature is.
 *
 *   cc -std=c99 -O2 -Wall -o reader reader.c && ./reader model.simb
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *file;
static size_t file_size;

static void die(const char *why) { fprintf(stderr, "reader: %s\n", why); exit(1); }
static void *get(size_t bytes) { void *p = calloc(bytes ? bytes : 1, 1); if (!p) die("out of memory"); return p; }

/* Little-endian numbers, byte by byte: no alignment, any machine. */
static uint64_t number(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int k = bytes - 1; k >= 0; k--) v = v << 8 | p[k];
    return v;
}
static const uint8_t *at(uint64_t offset, uint64_t bytes) {
    if (bytes > file_size || offset > file_size - bytes) die("an offset lies outside the file");
    return file + offset;
}

/* [1] The frame: a scalar, or the elements of a vector. */
static uint64_t field(int id) {
    uint64_t table = number(at(0, 4), 4);
    uint64_t vtable = table - (uint64_t)(int64_t)(int32_t)number(at(table, 4), 4);
    uint64_t slot = 4 + 2 * (uint64_t)id;
    if (slot + 2 > number(at(vtable, 2), 2)) return 0;
    uint64_t offset = number(at(vtable + slot, 2), 2);
    return offset ? table + offset : 0;
}
static uint64_t scalar(int id, int bytes) { return field(id) ? number(at(field(id), bytes), bytes) : 0; }
static uint64_t vector(int id, int element, uint64_t *count) {
    uint64_t f = field(id);
    *count = 0;
    if (!f) return 0;
    f += number(at(f, 4), 4);
    *count = number(at(f, 4), 4);
    at(f + 4, *count * element);
    return f + 4;
}

/* [3] Sections: decoded bytes by id, zeros when absent. */
static struct { uint8_t *bytes; uint64_t length; int element; } sections[128];

static uint64_t element(int id, uint64_t k) {
    if (!sections[id].bytes) return 0;
    if ((k + 1) * sections[id].element > sections[id].length) die("a section is too short");
    return number(sections[id].bytes + k * sections[id].element, sections[id].element);
}

#include "packed.h"
#include "prefix.h"
#include "signature.h"

static void unplane(uint8_t *to, uint64_t length, int element, const uint8_t *from, const uint8_t *end) {
    uint64_t count = length / element;
    for (int plane = 0; plane < element; plane++)
        for (uint64_t k = 0; k < count;) {
            uint64_t n = count - k < 131072 ? count - k : 131072;
            if (end - from < 2) die("a chunk is cut short");
            int tag = *from++;
            if (tag == 1) die("huff0 is not for this reader: compile with the packed, prefix or raw codec");
            if (tag > 2 || (tag == 0 && (uint64_t)(end - from) < n)) die("a bad chunk");
            for (uint64_t stop = k + n; k < stop; k++) to[k * element + plane] = tag == 2 ? *from : *from++;
            if (tag == 2) from++;
        }
    if (from != end) die("bytes are left over in a section");
}
static void read_sections(void) {
    uint64_t lines, left, directory = vector(25, 16, &lines), payload = vector(26, 1, &left);
    for (uint64_t k = 0; k < lines; k++) {
        const uint8_t *line = at(directory + 16 * k, 16);
        uint64_t id = number(line, 2), length = number(line + 4, 4), bytes = number(line + 8, 4);
        if (bytes > left) die("a section is longer than the payload");
        const uint8_t *from = at(payload, bytes);
        payload += bytes, left -= bytes;
        if (id >= 0x8000) continue;
        if (id >= 128 || line[3] == 0) die("an unknown section");
        if (id == 5 && (line[2] == 2 || line[2] == 3)) {
            if (line[2] == 2) unpack(from, from + bytes);
            else unprefix(from, from + bytes);
            continue;
        }
        sections[id].element = line[3];
        sections[id].length = length;
        sections[id].bytes = get(length);
        if (line[2] == 1) unplane(sections[id].bytes, length, line[3], from, from + bytes);
        else if (line[2] == 0 && bytes == length) memcpy(sections[id].bytes, from, length);
        else die("a bad section");
    }
}
static uint32_t varint(int id, uint64_t *k) {
    uint32_t v = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        uint32_t b = (uint32_t)element(id, (*k)++);
        v |= (b & 127) << shift;
        if (b < 128) break;
    }
    return v;
}

/* [4] The model, and an inference. */
static int width, maximum;
static uint64_t inputs, states, outputs, segments, saturations;
static uint64_t *start;                        /* of each row's weights */
static uint32_t *column, *special;             /* of each weight; of each state: its place in 27, 29 and 30 */
static int32_t *weight;
static uint16_t *q;                            /* of each column */

static void read_weights(void) {
    uint64_t rows = states + outputs, lengths = 0, gaps = 0, low = 0, k = 0;
    uint64_t nonzeros = scalar(15, 4), tables = 0, leaky = 0;
    start = get((rows + 1) * sizeof *start);
    column = get(nonzeros * sizeof *column);
    weight = get(nonzeros * sizeof *weight);
    special = get(states * sizeof *special);
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t c = 0;
        start[i] = k;
        for (uint32_t left = varint(1, &lengths); left > 0; left--, k++, c++) {
            c += varint(2, &gaps);
            if (k >= nonzeros || c >= inputs + states) die("a weight lies outside the matrix");
            column[k] = (uint32_t)c;
            weight[k] = (int8_t)element(3, k);
            if (element(40, i) == 2) weight[k] = 128 * weight[k] + (int8_t)element(4, low++);
        }
        if (i < states && element(26, i) >= 5) special[i] = (uint32_t)tables++;
        if (i < states && element(26, i) == 3) special[i] = (uint32_t)leaky++;
    }
    start[rows] = k;
}

/* The floor of v / 2^s: C leaves >> of negative numbers to the compiler. */
static int64_t shift(int64_t v, int s) { return v < 0 ? ~(~v >> s) : v >> s; }
static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

static int64_t row(uint64_t i) {
    int64_t acc = (int32_t)element(41, i), m = (int32_t)element(42, i);
    int s = (int)element(43, i);
    for (uint64_t k = start[i]; k < start[i + 1]; k++) acc += (int64_t)weight[k] * q[column[k]];
    if (i < states && element(26, i) == 3 && acc < 0) m = (int32_t)element(29, special[i]), s = (int)element(30, special[i]);
    return shift(acc * m + ((int64_t)1 << (s - 1)), s);
}
static uint16_t state(uint64_t i) {
    int64_t t = row(i), lo = (int64_t)element(23, i), hi = (int64_t)element(24, i);
    if (element(26, i) >= 5) {
        uint64_t table = element(27, special[i]) * (width == 7 ? 256 : 257);
        if (width == 7) return (uint16_t)element(52, table + clamp(t, -128, 127) + 128);
        int64_t u = clamp(t, -32768, 32767) + 32768, h = u >> 8, l = u & 255;
        int64_t left = (int64_t)element(52, table + h), right = (int64_t)element(52, table + h + 1);
        return (uint16_t)(left + shift((right - left) * l + 128, 8));
    }
    t += (int64_t)element(22, i);
    if (t < lo) saturations += element(25, i) & 1;
    if (t > hi) saturations += element(25, i) >> 1 & 1;
    return (uint16_t)clamp(t, lo, hi);
}
static void infer(void) {
    uint64_t first = 0;
    uint16_t *next = get(states * sizeof *next);
    saturations = 0;
    for (uint64_t g = 0; g < segments; g++) {
        uint64_t end = first + element(60, g), sweeps = element(61, g);
        if (end > states) die("the schedule is too long");
        if (sweeps == 0)
            for (uint64_t i = first; i < end; i++) q[inputs + i] = state(i);
        else
            for (uint64_t i = first; i < end; i++) q[inputs + i] = (uint16_t)clamp((int64_t)element(22, i), (int64_t)element(23, i), (int64_t)element(24, i));
        for (int changed = 1; sweeps > 0 && changed; sweeps--) {
            changed = 0;
            for (uint64_t i = first; i < end; i++) next[i] = state(i), changed |= next[i] != q[inputs + i];
            for (uint64_t i = first; i < end; i++) q[inputs + i] = next[i];
        }
        first = end;
    }
    free(next);
}
static uint32_t crc32c(const uint16_t *values, uint64_t count) {
    uint32_t crc = 0xFFFFFFFF;
    for (uint64_t k = 0; k < 2 * count; k++) {
        crc ^= values[k / 2] >> 8 * (k % 2) & 255;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
    }
    return ~crc;
}

int main(int argc, char **argv) {
    FILE *in = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!in) die("usage: reader model.simb");
    file = get(1 << 24);
    file_size = fread(file, 1, 1 << 24, in);
    fclose(in);
    if (file_size < 8 || memcmp(file + 4, "SIMB", 4)) die("not a compiled model");
    if (scalar(1, 2) > 4 || scalar(2, 8) & ~(uint64_t)254) die("a version or feature that this reader does not know");
    width = (int)scalar(7, 1);
    if (width != 7 && width != 14) die("a width that there is not");
    maximum = (1 << width) - 1;
    inputs = scalar(12, 4), states = scalar(13, 4), outputs = scalar(14, 4), segments = scalar(17, 4);
    read_signature();
    read_sections();
    read_weights();
    q = get((inputs + states) * sizeof *q);
    for (uint64_t test = 0; test < scalar(18, 4); test++) {
        uint64_t seed = element(70, test);
        for (uint64_t j = 0; j < inputs; j++) {
            uint64_t x = seed += 0x9E3779B97F4A7C15;
            x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
            x = (x ^ x >> 27) * 0x94D049BB133111EB;
            q[j] = (uint16_t)((x ^ x >> 31) >> 40 & maximum);
        }
        infer();
        printf("outputs");
        for (uint64_t k = 0; k < outputs; k++) printf(" %ld", (long)row(states + k));
        printf(" saturations %llu states %08lx\n", (unsigned long long)saturations, (unsigned long)crc32c(q + inputs, states));
    }
    return 0;
}
