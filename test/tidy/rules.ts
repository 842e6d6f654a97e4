/**
 * Rules of form, each a function from a file to what is wrong with it. What prettier and eslint can
 * say is left to them.
 */
import ts from 'typescript'
import { isTypeScript, lineOf, parse, walk, type Source } from './sources.js'

export const LINES_WISHED = 300
/** Of tests more: a table of cases is one noun, however long. */
export const LINES_MAX = { code: 500, test: 800 } as const
export const FUNCTION_LINES_MAX = 70
export const COLUMNS_MAX = 100
/** Of a line with a string in it: breaking a sentence helps nobody who looks for it. */
export const STRING_COLUMNS_MAX = 120

export type Rule = (source: Source) => string[]

const isTest = (source: Source): boolean => source.path.startsWith('test/')

export function fileLength(source: Source): string[] {
  const lines = source.text.split('\n').length - 1
  const most = isTest(source) ? LINES_MAX.test : LINES_MAX.code
  return lines > most ? [`${source.path}: ${lines} lines, at most ${most}`] : []
}

export function lineLength(source: Source): string[] {
  const broken: string[] = []
  source.text.split('\n').forEach((line, i) => {
    const comment = /^\s*(\/\/|\/?\*)/.test(line)
    const most = !comment && /['"`]/.test(line) ? STRING_COLUMNS_MAX : COLUMNS_MAX
    const columns = [...line].length
    // A link cannot be broken.
    if (columns <= most || /https?:\/\/\S{60}/.test(line)) return
    broken.push(`${source.path}:${i + 1}: ${columns} columns, at most ${most}`)
  })
  return broken
}

/** In parts, so that the rules do not find themselves. */
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`)

export function unfinished(source: Source): string[] {
  const broken: string[] = []
  source.text.split('\n').forEach((line, i) => {
    if (UNFINISHED.test(line)) broken.push(`${source.path}:${i + 1}: ${UNFINISHED.exec(line)![0]}`)
  })
  return broken
}

/** Functions, by their lines; the body of a describe is a file within a file. */
export function functionLength(source: Source): string[] {
  return isTypeScript(source) ? functionsOfTypeScript(source) : functionsOfC(source)
}

function functionsOfTypeScript(source: Source): string[] {
  const file = parse(source)
  const broken: string[] = []
  walk(file, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return
    const { parent } = node
    if (
      ts.isCallExpression(parent) &&
      /^(describe|suite)\b/.test(parent.expression.getText(file))
    ) {
      return
    }
    const first = lineOf(file, node)
    const last = file.getLineAndCharacterOfPosition(node.getEnd()).line + 1
    if (last - first + 1 > FUNCTION_LINES_MAX) {
      broken.push(`${source.path}:${first}: ${tooLong(last - first + 1)}`)
    }
  })
  return broken
}

const tooLong = (lines: number): string =>
  `a function of ${lines} lines, at most ${FUNCTION_LINES_MAX}`

/** A function of C ends with a brace in the first column; it begins after the last empty line. */
function functionsOfC(source: Source): string[] {
  const broken: string[] = []
  let begin = -1
  source.text.split('\n').forEach((line, i) => {
    if (begin < 0 && /^[a-z].*[({]$|^\{$|^[a-z].*\) \{$/.test(line)) begin = i
    if (!/^\}/.test(line)) return
    if (begin >= 0 && i - begin + 1 > FUNCTION_LINES_MAX) {
      broken.push(`${source.path}:${begin + 1}: ${tooLong(i - begin + 1)}`)
    }
    begin = -1
  })
  return broken
}

interface Ban {
  /** The called thing, as it is written. */
  readonly call: string
  /** Where it may stand. */
  readonly except: RegExp
  /** A line with this may have it. */
  readonly unless?: RegExp
  readonly instead: string
}

const CLOCK = /^src\/base\/(clock|timers)\.ts$|^(test|bench|scripts|examples)\//
/** A program may look how long it has taken: what it shows, and no state, depends on it. */
const TIMED = /^src\/base\/(clock|timers)\.ts$|^(src\/cli|test|bench|scripts|examples)\//
const WAITS = /^src\/base\/timers\.ts$|^src\/cli\/|^(test|bench|scripts|examples)\//
const PROGRAM = /^src\/cli\/|^(test|bench|scripts|examples)\//

/**
 * Calls with a better form: time, chance and output are parameters here, so that a seed decides.
 */
export const BANS: readonly Ban[] = [
  { call: 'Date.now', except: CLOCK, instead: 'a Clock (base/clock.ts)' },
  { call: 'performance.now', except: TIMED, instead: 'a Clock (base/clock.ts)' },
  { call: 'process.hrtime', except: CLOCK, instead: 'a Clock (base/clock.ts)' },
  {
    call: 'Math.random',
    except: /^$/,
    unless: /seed/i,
    instead: 'a Prng with a seed (base/prng.ts)',
  },
  { call: 'randomBytes', except: CLOCK, instead: 'an Entropy (base/clock.ts)' },
  { call: 'randomFillSync', except: CLOCK, instead: 'an Entropy (base/clock.ts)' },
  { call: 'setTimeout', except: WAITS, instead: 'Timers (base/timers.ts)' },
  { call: 'console.log', except: PROGRAM, instead: 'a result: only programs print' },
  { call: 'console.error', except: PROGRAM, instead: 'an error thrown: only programs print' },
  { call: 'process.exit', except: PROGRAM, instead: 'an error thrown: only programs end' },
  { call: 'test.only', except: /^$/, instead: 'a name on the command line' },
  { call: 'it.only', except: /^$/, instead: 'a name on the command line' },
  { call: 'describe.only', except: /^$/, instead: 'a name on the command line' },
]

export function bannedCalls(source: Source): string[] {
  if (!isTypeScript(source)) return []
  const file = parse(source)
  const broken: string[] = []
  walk(file, (node) => {
    if (!ts.isCallExpression(node)) return
    const called = node.expression.getText(file)
    const ban = BANS.find((one) => one.call === called)
    if (ban === undefined || ban.except.test(source.path)) return
    const line = file.text.split('\n')[lineOf(file, node) - 1]!
    if (!source.path.startsWith('src/') && ban.unless?.test(line) === true) return
    broken.push(`${source.path}:${lineOf(file, node)}: ${called}(); take ${ban.instead}`)
  })
  walk(file, (node) => {
    if (!ts.isPropertyAssignment(node) || node.name.getText(file) !== 'only') return
    if (!isTest(source) || node.initializer.kind !== ts.SyntaxKind.TrueKeyword) return
    broken.push(`${source.path}:${lineOf(file, node)}: only: true; take a name on the command line`)
  })
  return broken
}

/** A comment that switches a checker off says why, after two dashes. */
export function unexplained(source: Source): string[] {
  if (!isTypeScript(source)) return []
  const broken: string[] = []
  const off = new RegExp(`(${['eslint-dis' + 'able', '@ts-exp' + 'ect-error'].join('|')})(.*)`)
  const never = new RegExp(['@ts-ig' + 'nore', '@ts-noc' + 'heck'].join('|'))
  source.text.split('\n').forEach((line, i) => {
    const found = off.exec(line)
    if (found !== null && !/ -- \S/.test(found[2]!)) {
      broken.push(`${source.path}:${i + 1}: ${found[1]} without ' -- ' and a reason`)
    }
    if (never.test(line)) broken.push(`${source.path}:${i + 1}: ${never.exec(line)![0]}`)
  })
  return broken
}

export function whitespace(source: Source): string[] {
  const broken: string[] = []
  if (source.text.includes('\r')) broken.push(`${source.path}: carriage returns`)
  if (source.text.includes('\t')) broken.push(`${source.path}: tabs`)
  if (!source.text.endsWith('\n') || source.text.endsWith('\n\n')) {
    broken.push(`${source.path}: ends without a newline, or with two`)
  }
  return broken
}

export const RULES: Readonly<Record<string, Rule>> = {
  'files are short': fileLength,
  'lines are at most 100 columns': lineLength,
  'functions fit a screen': functionLength,
  'nothing is left unfinished': unfinished,
  'no banned call': bannedCalls,
  'a checker is switched off with a reason': unexplained,
  'files end in one newline, without tabs': whitespace,
}
