// Runs a program for WASI preview 1 under node: node wasi.mjs PROGRAM.wasm ARGUMENTS…
import { readFile } from 'node:fs/promises'
import { WASI } from 'node:wasi'

const args = process.argv.slice(2)
const wasi = new WASI({ version: 'preview1', args, env: {}, preopens: { '/': '/' } })
const program = await WebAssembly.compile(await readFile(args[0]))
process.exitCode = wasi.start(await WebAssembly.instantiate(program, wasi.getImportObject()))
