/* Unpacks section 5 of a packed .simb file. Written from PACKED.md alone, whose numbers are in brackets. It is
 * a part of reader.c, and like it no verifying reader: it keeps within its memory, and that is all. */

/* [1, 2] Bits and contexts. */
typedef struct { int64_t p, n; } context;
static const uint8_t *stored, *stored_end;
static uint32_t code, size;

static uint32_t byte(void) { return stored < stored_end ? *stored++ : 0; }
static uint32_t decide(uint32_t ones) {
    uint32_t bit = code < ones;
    if (bit) size = ones;
    else code -= ones, size -= ones;
    while (size < 1u << 24) code = code << 8 | byte(), size <<= 8;
    return bit;
}
static uint32_t plain(int k) {
    uint32_t v = 0;
    while (k-- > 0) v = v << 1 | decide(size >> 1);
    return v;
}
static uint32_t bit(context *c, int limit) {
    if (c->n == 0 && c->p == 0) c->p = 32768; /* p cannot fall to 0 before n rises */
    uint32_t share = (uint32_t)(c->p >> 4), one = decide((size >> 12) * (share ? share : 1));
    int64_t step = (one ? 65536 - c->p : -c->p) * ((1 << 17) / (2 * c->n + 3));
    c->p += step >= 0 ? step >> 16 : ~(~step >> 16);
    if (c->n < limit) c->n++;
    return one;
}

/* [3] Numbers. */
typedef struct { int limit, noisy; context u[24][33], f[33][4], o[32]; } model;

static model *new_model(int limit, int noisy) {
    model *m = get(sizeof *m);
    m->limit = limit, m->noisy = noisy;
    return m;
}
static uint32_t number_of(model *m, int set) {
    int k = 0;
    while (bit(&m->u[set][k], m->limit)) if (++k == 32) return 0xFFFFFFFF;
    uint64_t u = 1;
    for (int b = k - 1; b >= 0; b--) {
        if (u < 4) u = 2 * u + bit(&m->f[k][u], m->limit);
        else if (m->noisy) u = 2 * u + plain(1);
        else u = 2 * u + bit(&m->o[b], m->limit);
    }
    return (uint32_t)(u - 1);
}
static int64_t zigzag(uint32_t v) { return v % 2 ? -(int64_t)(v / 2) - 1 : v / 2; }

/* [4] Columns: bytes of an element, what it is, how many there are, the claim that it belongs to. */
enum { NUMBER, ZIGZAG, REAL, LONG, PLAIN };
enum { INPUTS = 1, STATES, OUTPUTS, ROWS, TABLES, ENTRIES, SEGMENTS, TESTS, ANSWERS, CURVED, PARAMETRISED, LEAKY, ONE, WITNESS, NODES };
static const struct { int bytes, form, count, claim; } columns[101] = {
    [10] = {4, NUMBER, INPUTS, 0}, [11] = {4, REAL, INPUTS, 0}, [12] = {4, ZIGZAG, INPUTS, 0}, [13] = {4, REAL, INPUTS, 0}, [14] = {4, REAL, INPUTS, 0},
    [20] = {4, NUMBER, STATES, 0}, [21] = {4, REAL, STATES, 0}, [22] = {2, NUMBER, STATES, 0}, [23] = {2, NUMBER, STATES, 0},
    [24] = {2, NUMBER, STATES, 0}, [25] = {1, NUMBER, STATES, 0}, [26] = {1, NUMBER, STATES, 0}, [27] = {2, NUMBER, CURVED, 0},
    [28] = {4, REAL, PARAMETRISED, 0}, [29] = {4, NUMBER, LEAKY, 0}, [30] = {1, NUMBER, LEAKY, 0},
    [40] = {1, NUMBER, ROWS, 0}, [41] = {4, ZIGZAG, ROWS, 0}, [42] = {4, NUMBER, ROWS, 0}, [43] = {1, NUMBER, ROWS, 0},
    [50] = {1, NUMBER, TABLES, 0}, [51] = {4, REAL, TABLES, 0}, [52] = {2, NUMBER, ENTRIES, 0},
    [60] = {4, NUMBER, SEGMENTS, 0}, [61] = {4, NUMBER, SEGMENTS, 0},
    [70] = {8, LONG, TESTS, 0}, [71] = {4, ZIGZAG, ANSWERS, 0}, [72] = {8, LONG, TESTS, 0}, [73] = {4, PLAIN, TESTS, 0},
    [80] = {4, REAL, ONE, 16}, [81] = {4, REAL, STATES, 16}, [82] = {4, REAL, STATES, 16}, [83] = {4, REAL, WITNESS, 1}, [84] = {4, REAL, WITNESS, 1},
    [85] = {4, REAL, WITNESS, 2}, [86] = {4, REAL, ROWS, 2}, [87] = {4, REAL, WITNESS, 2}, [88] = {4, REAL, OUTPUTS, 2},
    [89] = {4, REAL, WITNESS, 4}, [90] = {4, REAL, ROWS, 4}, [91] = {4, REAL, WITNESS, 4}, [92] = {4, REAL, OUTPUTS, 4},
    [93] = {4, REAL, OUTPUTS, 8}, [94] = {4, REAL, WITNESS, 8}, [95] = {4, REAL, ROWS, 8},
    [96] = {1, NUMBER, NODES, 32}, [97] = {4, REAL, OUTPUTS, 32}, [98] = {4, REAL, OUTPUTS, 32}, [99] = {4, REAL, OUTPUTS, 64}, [100] = {4, REAL, OUTPUTS, 64},
};

static uint64_t of_kinds(int least, int most) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < scalar(13, 4); i++) count += element(26, i) >= (uint64_t)least && element(26, i) <= (uint64_t)most;
    return count;
}
static uint64_t count_of(int id) {
    uint64_t states = scalar(13, 4), outputs = scalar(14, 4);
    if (columns[id].claim && !(scalar(9, 1) & columns[id].claim)) return 0;
    switch (columns[id].count) {
    case INPUTS: return scalar(12, 4);
    case STATES: return states;
    case OUTPUTS: return outputs;
    case ROWS: return states + outputs;
    case TABLES: return scalar(16, 4);
    case ENTRIES: return scalar(16, 4) * (scalar(7, 1) == 7 ? 256 : 257);
    case SEGMENTS: return scalar(17, 4);
    case TESTS: return scalar(18, 4);
    case ANSWERS: return scalar(18, 4) * outputs;
    case CURVED: return of_kinds(5, 6);
    case PARAMETRISED: return of_kinds(2, 4);
    case LEAKY: return of_kinds(3, 3);
    case ONE: return 1;
    case NODES: return 1; /* what is there tells how many */
    case WITNESS: return scalar(2, 8) & 32 ? 0 : states;
    }
    return 0;
}
static void open_section(int id, uint64_t length, int bytes) {
    sections[id].bytes = get(length), sections[id].length = length, sections[id].element = bytes;
}
static uint64_t real(model *m, context *g, context *h, int64_t base, int zeros, uint64_t other) {
    uint64_t upper = (uint64_t)((int64_t)(other >> 23) + base + number_of(m, 0)), mantissa = 1;
    if (upper > 511) die("a number with an exponent that there is not");
    for (int b = 22; b >= zeros; b--) mantissa = 2 * mantissa + bit(mantissa < 8 ? &g[mantissa] : &h[b], 127);
    return upper << 23 | (mantissa << zeros & 0x7FFFFF);
}
static void read_column(int id, uint64_t count) {
    int form = columns[id].form, bytes = columns[id].bytes, aside = (id == 90 || id == 95) && sections[86].bytes, zeros = 0;
    context same[2] = {{0, 0}, {0, 0}}, g[8] = {{0, 0}}, h[23] = {{0, 0}};
    model *m = new_model(127, 0), *upper = new_model(127, 0);
    int64_t base = 0;
    uint64_t last = 0;
    uint32_t again = 0;
    if (form == REAL) base = (int64_t)plain(10) - 512, zeros = (int)plain(5);
    open_section(id, count * bytes, bytes);
    for (uint64_t k = 0; k < count; k++) {
        uint64_t other = aside ? element(86, k) : 0;
        if (aside) last = other;
        again = bit(&same[again], 127);
        if (!again) switch (form) {
        case NUMBER: last = number_of(m, 0); break;
        case ZIGZAG: last = (uint32_t)zigzag(number_of(m, 0)); break;
        case REAL: last = real(m, g, h, base, zeros, other); break;
        case LONG: last = number_of(m, 0); last |= (uint64_t)number_of(upper, 0) << 32; break;
        case PLAIN: last = plain(32); break;
        }
        for (int b = 0; b < bytes; b++) sections[id].bytes[k * bytes + b] = (uint8_t)(last >> 8 * b);
    }
    free(m), free(upper);
}

/* [5] Weights. Gaps and lengths are put where a raw file has them, as varints. */
static void put_varint(int id, uint32_t v) {
    for (; v >= 128; v >>= 7) sections[id].bytes[sections[id].length++] = (uint8_t)(v | 128);
    sections[id].bytes[sections[id].length++] = (uint8_t)v;
}
static int half_octaves(uint64_t x) {
    int k = 0;
    while (x >> (k + 1)) k++;
    return 2 * k + (x * x >> (2 * k + 1) != 0);
}
/* The end of the columns that each row can read. */
static uint64_t *readable_columns(void) {
    uint64_t inputs = scalar(12, 4), states = scalar(13, 4), rows = states + scalar(14, 4), segment = 0, first = 0;
    uint64_t *readable = get(rows * sizeof *readable);
    for (uint64_t i = 0; i < rows; i++) {
        while (i < states && segment < scalar(17, 4) && i >= first + element(60, segment)) first += element(60, segment++);
        uint64_t end = i < states && segment < scalar(17, 4) ? first + element(60, segment) : states;
        if (end > states) end = states;
        readable[i] = inputs + (i >= states || segment >= scalar(17, 4) ? states : element(61, segment) ? end : first);
    }
    return readable;
}
static void open_weights(uint64_t rows, uint64_t total) {
    for (int id = 1; id <= 4; id++) open_section(id, id == 1 ? 5 * rows : id == 2 ? 5 * total : total, 1), sections[id].length = 0;
}
static void unpack_weights(void) {
    uint64_t inputs = scalar(12, 4), rows = scalar(13, 4) + scalar(14, 4), total = scalar(15, 4);
    uint64_t *readable = readable_columns(), *length = get(rows * sizeof *length), sum = 0, k = 0;
    uint32_t *gap = get(total * sizeof *gap);
    model *lengths = new_model(127, 1), *gaps = new_model(127, 1), *upper = new_model(127, 1), *magnitudes = new_model(20, 1);
    context (*sign)[3][5] = get(2 * sizeof *sign);
    open_weights(rows, total);
    for (uint64_t i = 0; i < rows; i++) {
        sum += length[i] = number_of(lengths, 0);
        if (length[i] > readable[i] || sum > total) die("too many weights");
        put_varint(1, (uint32_t)length[i]);
    }
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t columns = readable[i];
        for (uint64_t left = length[i]; left > 0; left--, k++) {
            int set = half_octaves(columns) - half_octaves(left);
            gap[k] = number_of(gaps, set < 0 ? 0 : set > 23 ? 23 : set);
            if (gap[k] > columns - left) die("a weight outside the matrix");
            columns -= 1 + gap[k];
            put_varint(2, gap[k]);
        }
    }
    k = 0;
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t column = 0;
        int last = 0;
        for (uint64_t left = length[i]; left > 0; left--, k++, column++) {
            int64_t w;
            column += gap[k];
            if (element(40, i) == 2) {
                w = zigzag(number_of(upper, 0));
                sections[4].bytes[sections[4].length++] = (uint8_t)(plain(7) - 64);
            } else {
                int size_of_gap = 0;
                for (uint32_t g = gap[k]; g && size_of_gap < 4; g >>= 1) size_of_gap++;
                w = (int64_t)number_of(magnitudes, 0) + 1;
                int negative = (int)bit(&sign[column >= inputs][last][size_of_gap], 127);
                if (negative) w = -w;
                last = 2 - negative;
            }
            sections[3].bytes[sections[3].length++] = (uint8_t)w;
        }
    }
    free(readable), free(length), free(gap), free(lengths), free(gaps), free(upper), free(magnitudes), free(sign);
}

static void unpack(const uint8_t *from, const uint8_t *end) {
    stored = from, stored_end = end, code = 0, size = 0xFFFFFFFF;
    for (int k = 0; k < 4; k++) code = code << 8 | byte();
    for (int id = 10; id < 101; id++) {
        uint64_t count = count_of(id);
        if (count > 0 && plain(1)) read_column(id, columns[id].count == NODES ? 1 + plain(20) : count);
    }
    unpack_weights();
    if (stored != stored_end) die("bytes are left over in a packed section");
}
