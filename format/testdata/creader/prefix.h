/* Unpacks section 5 of a .simb file in prefix codes. Written from PREFIX.md alone, whose numbers are in brackets. It
 * is a part of reader.c, and like it no verifying reader: it keeps within its memory, and that is all. */

/* [1] Bits. */
typedef struct { const uint8_t *from, *end; uint64_t at; } bitstring;
static bitstring all_else, values_of_weights;

static uint64_t bits(bitstring *s, int k) {
    uint64_t v = 0;
    for (int i = 0; i < k; i++, s->at++)
        if (s->at / 8 < (uint64_t)(s->end - s->from)) v |= (uint64_t)(s->from[s->at / 8] >> s->at % 8 & 1) << i;
    return v;
}
static void all_used(bitstring *s) {
    while (s->at % 8) if (bits(s, 1)) die("bits are left over in a string");
    if (s->at != 8 * (uint64_t)(s->end - s->from)) die("a string is too long or too short");
}

/* [2] Codes: of each symbol how many bits its word has, and the word; one symbol alone has none. */
typedef struct { int alone, bits[64], word[64]; } code_words;

static void read_code(code_words *c, int symbols) {
    int first = (int)bits(&all_else, 6), end = first + (int)bits(&all_else, 6) + 1, l = 4, next = 0;
    if (end > symbols) die("a code has too many symbols");
    memset(c, 0, sizeof *c);
    c->alone = end - first == 1 ? first : -1;
    if (c->alone >= 0) return;
    for (int s = first; s < end; s++) {
        if (bits(&all_else, 1)) {
            if (!bits(&all_else, 1)) l++;
            else if (!bits(&all_else, 1)) l--;
            else {
                int e = (int)bits(&all_else, 4);
                if (e > 7) {
                    s += e - 8;
                    continue;
                }
                l = e;
            }
        }
        if (l < 1 || l > 7) die("a word is too long or too short");
        c->bits[s] = l;
    }
    for (int length = 1; length <= 7; length++, next <<= 1)
        for (int s = first; s < end; s++) if (c->bits[s] == length) c->word[s] = next++;
    if (next != 256) die("the words of a code are not all that there are");
}
static int symbol(bitstring *s, const code_words *c) {
    if (c->alone >= 0) return c->alone;
    for (int length = 1, word = 0; length <= 7; length++) {
        word = 2 * word + (int)bits(s, 1);
        for (int k = 0; k < 64; k++) if (c->bits[k] == length && c->word[k] == word) return k;
    }
    die("a word that there is not");
    return 0;
}

/* [3] Numbers. */
static uint64_t with_bits_below(bitstring *s, int symbol) {
    if (symbol < 2) return (uint64_t)symbol;
    uint64_t top = 2 + (uint64_t)(symbol % 2);
    return (top << (symbol / 2 - 1)) + bits(s, symbol / 2 - 1);
}
static uint64_t coded(bitstring *s, const code_words *c) { return with_bits_below(s, symbol(s, c)); }

/* [4] Columns. */
static uint64_t literal(int form, const code_words *c, uint64_t other, int64_t base, int zeros) {
    bitstring *s = &all_else;
    if (form == ZIGZAG) return (uint32_t)zigzag((uint32_t)coded(s, c));
    if (form == PLAIN) return bits(s, 32);
    uint64_t v = coded(s, c);
    if (form == LONG) return v | coded(s, c) << 32;
    if (form != REAL) return v;
    int64_t upper = (int64_t)(other >> 23) + base + (int64_t)v;
    if (upper < 0 || upper > 511) die("a number with an exponent that there is not");
    return (uint32_t)upper << 23 | (uint32_t)bits(s, 23 - zeros) << zeros;
}
static void prefix_column(int id, uint64_t count) {
    int form = columns[id].form, bytes = columns[id].bytes, aside = (id == 90 || id == 95) && sections[86].bytes, zeros = 0;
    int layout = (int)bits(&all_else, 2);
    code_words runs, numbers;
    int64_t base = 0;
    uint64_t run = 0, last = 0;
    if (layout > 2) die("a column in a layout that there is not");
    if (layout == 1) read_code(&runs, 64);
    if (layout != 0 || !aside) {
        if (form == REAL) base = (int64_t)bits(&all_else, 10) - 512, zeros = (int)bits(&all_else, 5);
        if (zeros > 23) die("impossible mantissas");
        if (form != PLAIN) read_code(&numbers, 64);
    }
    open_section(id, count * bytes, bytes);
    for (uint64_t k = 0, literal_next = layout == 2; k < count; k++) {
        uint64_t other = aside ? element(86, k) : 0;
        if (aside) last = other;
        if (layout == 0) literal_next = k == 0 && !aside;
        if (layout == 1) {
            if (!literal_next) run = coded(&all_else, &runs), literal_next = 1;
            if (run > count - k) die("more repeats than elements");
        }
        if (literal_next && run == 0) {
            last = literal(form, &numbers, other, base, zeros);
            if (layout == 1) literal_next = 0;
        } else if (run > 0) run--;
        for (int b = 0; b < bytes; b++) sections[id].bytes[k * bytes + b] = (uint8_t)(last >> 8 * b);
    }
}

/* [5] Weights. */
typedef struct { int of[24]; code_words codes[8]; } code_sets;

static void read_sets(code_sets *c, int symbols) {
    int count = (int)bits(&all_else, 3) + 1, width = 0;
    while ((count - 1) >> width) width++;
    for (int set = 0; set < 24; set++) {
        c->of[set] = (int)bits(&all_else, width);
        if (c->of[set] >= count) die("a set without a code");
    }
    for (int k = 0; k < count; k++) read_code(&c->codes[k], symbols);
}
static int half_octave(uint64_t x) {
    int k = 0;
    while (2 * x >> (k + 1)) k++;
    return 2 * k + (int)(2 * x >> (k - 1) & 1);
}
static int place_set(uint64_t free_columns, uint64_t left) {
    int set = half_octave(free_columns) - half_octave(left);
    return set > 23 ? 23 : set;
}
/* Reads the places of a row and marks the columns that the row reads. */
static void mark_row(const code_sets *c, uint8_t *reads, uint64_t limit, uint64_t length) {
    int missing = length > limit - length, set = 0;
    uint64_t left = missing ? limit - length : length, free_columns = limit, column = 0;
    memset(reads, missing, limit);
    for (int first = 1; left > 0; left--, first = 0) {
        int now = place_set(free_columns, left);
        uint64_t gap = coded(&all_else, &c->codes[c->of[first ? now : set]]);
        if (gap > free_columns - left) die("a weight outside the matrix");
        set = now;
        column += gap;
        reads[column++] = !missing;
        free_columns -= gap + 1;
    }
}
static void put(int id, int64_t v) { sections[id].bytes[sections[id].length++] = (uint8_t)v; }

static void prefix_row(uint64_t i, const uint8_t *reads, uint64_t limit, const code_sets *values, const code_words *upper) {
    bitstring *s = &values_of_weights;
    uint64_t next = 0;
    int rank = 0, negative = 0, first = 1;
    for (uint64_t column = 0; column < limit; column++) {
        if (!reads[column]) continue;
        put_varint(2, (uint32_t)(column - next));
        if (element(40, i) == 2) {
            put(3, zigzag((uint32_t)coded(s, upper)));
            put(4, (int64_t)bits(s, 7) - 64);
        } else {
            int set = rank + (column >= scalar(12, 4) ? 4 : 0) + (first ? 16 : column > next ? 8 : 0);
            int t = symbol(s, &values->codes[values->of[set]]);
            int64_t size = (int64_t)with_bits_below(s, t / 2) + 1;
            negative ^= t & 1;
            put(3, negative ? -size : size);
            rank = (t / 2 >= 6) + (t / 2 >= 9) + (t / 2 >= 11);
        }
        next = column + 1, first = 0;
    }
}
static void prefix_weights(void) {
    uint64_t rows = scalar(13, 4) + scalar(14, 4), total = scalar(15, 4), sum = 0, pairs = 0;
    uint64_t *readable = readable_columns(), *length = get(rows * sizeof *length);
    uint8_t *reads = get(scalar(12, 4) + scalar(13, 4));
    code_words *upper = get(sizeof *upper);
    code_sets *gaps = get(sizeof *gaps), *values = get(sizeof *values);
    open_weights(rows, total);
    read_code(upper, 64);
    for (uint64_t i = 0; i < rows; i++) {
        sum += length[i] = coded(&all_else, upper);
        if (length[i] > readable[i] || sum > total) die("too many weights");
        if (element(40, i) == 2) pairs += length[i];
        put_varint(1, (uint32_t)length[i]);
    }
    if (sum != total) die("too few weights");
    if (total > 0) read_sets(gaps, 64);
    if (total > pairs) read_sets(values, 28);
    if (pairs > 0) read_code(upper, 16);
    for (uint64_t i = 0; i < rows && total > 0; i++) {
        mark_row(gaps, reads, readable[i], length[i]);
        prefix_row(i, reads, readable[i], values, upper);
    }
    free(readable), free(length), free(reads), free(upper), free(gaps), free(values);
}

static void unprefix(const uint8_t *from, const uint8_t *end) {
    uint64_t first = 0;
    for (int k = 0, more = 1; more; k += 7) {
        if (from == end || k > 28) die("the length of a string is cut short");
        first |= (uint64_t)(*from & 127) << k;
        more = *from++ >= 128;
    }
    if (first > (uint64_t)(end - from)) die("a string is cut short");
    all_else = (bitstring){from, from + first, 0}, values_of_weights = (bitstring){from + first, end, 0};
    for (int id = 10; id < 101; id++) {
        uint64_t count = count_of(id);
        if (count > 0 && bits(&all_else, 1)) prefix_column(id, columns[id].count == NODES ? 1 + bits(&all_else, 20) : count);
    }
    prefix_weights();
    all_used(&all_else), all_used(&values_of_weights);
}
