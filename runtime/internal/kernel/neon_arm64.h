// The instructions of NEON that Go's assembler does not know, as words. Registers are numbers, the
// destination last, as the assembler has it; n is the first source of the manual and m the second. The
// comment says what a word is: TestWordsAreTheInstructionsTheyClaim has it assembled by another assembler.

#define SDOT(m, n, d) WORD $(0x4E809400 | (m)<<16 | (n)<<5 | (d)) // sdot v{d}.4s, v{n}.16b, v{m}.16b
#define SMULLB(m, n, d) WORD $(0x0E20C000 | (m)<<16 | (n)<<5 | (d)) // smull v{d}.8h, v{n}.8b, v{m}.8b
#define SMLAL2B(m, n, d) WORD $(0x4E208000 | (m)<<16 | (n)<<5 | (d)) // smlal2 v{d}.8h, v{n}.16b, v{m}.16b
#define SADALPH(n, d) WORD $(0x4E606800 | (n)<<5 | (d)) // sadalp v{d}.4s, v{n}.8h

#define SMULLS(m, n, d) WORD $(0x0EA0C000 | (m)<<16 | (n)<<5 | (d)) // smull v{d}.2d, v{n}.2s, v{m}.2s
#define SMULL2S(m, n, d) WORD $(0x4EA0C000 | (m)<<16 | (n)<<5 | (d)) // smull2 v{d}.2d, v{n}.4s, v{m}.4s
#define UMULLS(m, n, d) WORD $(0x2EA0C000 | (m)<<16 | (n)<<5 | (d)) // umull v{d}.2d, v{n}.2s, v{m}.2s
#define UMULL2S(m, n, d) WORD $(0x6EA0C000 | (m)<<16 | (n)<<5 | (d)) // umull2 v{d}.2d, v{n}.4s, v{m}.4s
#define MULS(m, n, d) WORD $(0x4EA09C00 | (m)<<16 | (n)<<5 | (d)) // mul v{d}.4s, v{n}.4s, v{m}.4s

#define SHLLS(n, d) WORD $(0x2EA13800 | (n)<<5 | (d)) // shll v{d}.2d, v{n}.2s, #32
#define SHLL2S(n, d) WORD $(0x6EA13800 | (n)<<5 | (d)) // shll2 v{d}.2d, v{n}.4s, #32
#define SSHLLS(i, n, d) WORD $(0x0F20A400 | (i)<<16 | (n)<<5 | (d)) // sshll v{d}.2d, v{n}.2s, #{i}
#define SSHLL2S(i, n, d) WORD $(0x4F20A400 | (i)<<16 | (n)<<5 | (d)) // sshll2 v{d}.2d, v{n}.4s, #{i}
#define SADDWS(m, n, d) WORD $(0x0EA01000 | (m)<<16 | (n)<<5 | (d)) // saddw v{d}.2d, v{n}.2d, v{m}.2s
#define SADDW2S(m, n, d) WORD $(0x4EA01000 | (m)<<16 | (n)<<5 | (d)) // saddw2 v{d}.2d, v{n}.2d, v{m}.4s
#define SRSHLD(m, n, d) WORD $(0x4EE05400 | (m)<<16 | (n)<<5 | (d)) // srshl v{d}.2d, v{n}.2d, v{m}.2d
#define SRSHLS(m, n, d) WORD $(0x4EA05400 | (m)<<16 | (n)<<5 | (d)) // srshl v{d}.4s, v{n}.4s, v{m}.4s
#define SRSHRS8(n, d) WORD $(0x4F382400 | (n)<<5 | (d)) // srshr v{d}.4s, v{n}.4s, #8
#define SQXTND(n, d) WORD $(0x0EA14800 | (n)<<5 | (d)) // sqxtn v{d}.2s, v{n}.2d
#define SQXTN2D(n, d) WORD $(0x4EA14800 | (n)<<5 | (d)) // sqxtn2 v{d}.4s, v{n}.2d

#define SMAXS(m, n, d) WORD $(0x4EA06400 | (m)<<16 | (n)<<5 | (d)) // smax v{d}.4s, v{n}.4s, v{m}.4s
#define SMINS(m, n, d) WORD $(0x4EA06C00 | (m)<<16 | (n)<<5 | (d)) // smin v{d}.4s, v{n}.4s, v{m}.4s
#define CMGTS(m, n, d) WORD $(0x4EA03400 | (m)<<16 | (n)<<5 | (d)) // cmgt v{d}.4s, v{n}.4s, v{m}.4s
#define CMLTS(n, d) WORD $(0x4EA0A800 | (n)<<5 | (d)) // cmlt v{d}.4s, v{n}.4s, #0

#define FCVTMSS(n, d) WORD $(0x4E21B800 | (n)<<5 | (d)) // fcvtms v{d}.4s, v{n}.4s
#define SCVTFS(n, d) WORD $(0x4E21D800 | (n)<<5 | (d)) // scvtf v{d}.4s, v{n}.4s
#define FSUBS4(m, n, d) WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d)) // fsub v{d}.4s, v{n}.4s, v{m}.4s
#define FABDS4(m, n, d) WORD $(0x6EA0D400 | (m)<<16 | (n)<<5 | (d)) // fabd v{d}.4s, v{n}.4s, v{m}.4s
#define FCMGES4(m, n, d) WORD $(0x6E20E400 | (m)<<16 | (n)<<5 | (d)) // fcmge v{d}.4s, v{n}.4s, v{m}.4s

#define SQXTNS(n, d) WORD $(0x0E614800 | (n)<<5 | (d)) // sqxtn v{d}.4h, v{n}.4s
#define SQXTN2S(n, d) WORD $(0x4E614800 | (n)<<5 | (d)) // sqxtn2 v{d}.8h, v{n}.4s
#define CMHIB(m, n, d) WORD $(0x6E203400 | (m)<<16 | (n)<<5 | (d)) // cmhi v{d}.16b, v{n}.16b, v{m}.16b
#define CMHIH(m, n, d) WORD $(0x6E603400 | (m)<<16 | (n)<<5 | (d)) // cmhi v{d}.8h, v{n}.8h, v{m}.8h
#define SMAXH(m, n, d) WORD $(0x4E606400 | (m)<<16 | (n)<<5 | (d)) // smax v{d}.8h, v{n}.8h, v{m}.8h
#define SMINH(m, n, d) WORD $(0x4E606C00 | (m)<<16 | (n)<<5 | (d)) // smin v{d}.8h, v{n}.8h, v{m}.8h
#define SADDLPB(n, d) WORD $(0x4E202800 | (n)<<5 | (d)) // saddlp v{d}.8h, v{n}.16b
