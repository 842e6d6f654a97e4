/**
 * What do operations on names cost, against the kernel's tmpfs through node:fs synchronous calls?
 *
 * Peer: fs.openSync(path, 'wx') + fs.closeSync, fs.renameSync, fs.unlinkSync, fs.statSync: the
 * fastest forms of node:fs, on tmpfs, which keeps nothing through a crash of the machine. Ours: the
 * volume's synchronous calls, sync=always: every operation is in the log and fenced when it
 * returns. Both: the same names in one directory, in the same order. A listing is of 100 000 names
 * with their types; readdirSync gives them as strings, which it does faster than bytes.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import type { Volume } from '../src/volume/volume.js'
import type { Comparison } from './pairs.js'

/** What a comparison works on: the same names on both sides. */
interface Names {
  readonly volume: Volume
  readonly ours: readonly string[]
  readonly oursTo: readonly string[]
  readonly theirs: readonly string[]
  readonly theirsTo: readonly string[]
}

function namesOf(volume: Volume, directory: string, count: number): Names {
  volume.mkdir('/names')
  rmSync(`${directory}/names`, { recursive: true, force: true })
  mkdirSync(`${directory}/names`)
  const ours = Array.from({ length: count }, (_, i) => `/names/file${i}`)
  const theirs = ours.map((name) => `${directory}${name}`)
  const renamed = (name: string) => `${name}.new`
  return { volume, ours, theirs, oursTo: ours.map(renamed), theirsTo: theirs.map(renamed) }
}

const PEER = 'node:fs tmpfs'

export function metadataComparisons(
  volume: Volume,
  directory: string,
  count: number,
): Comparison[] {
  const names = namesOf(volume, directory, count)
  const { ours, theirs } = names
  const make = () => ours.forEach((name) => volume.open(name, 'wx').close())
  const makeTheirs = () => theirs.forEach((name) => closeSync(openSync(name, 'wx')))
  const remove = () => ours.forEach((name) => volume.unlink(name))
  const removeTheirs = () => theirs.forEach((name) => unlinkSync(name))
  return [
    {
      question: 'create + close',
      count,
      wantRatio: 2,
      ours: { name: 'holdfast', run: make, cleanUp: remove },
      peer: { name: PEER, run: makeTheirs, cleanUp: removeTheirs },
    },
    {
      question: 'unlink',
      count,
      wantRatio: 2,
      ours: { name: 'holdfast', prepare: make, run: remove },
      peer: { name: PEER, prepare: makeTheirs, run: removeTheirs },
    },
    renaming(names, count, make, makeTheirs),
    {
      question: 'stat',
      count,
      wantRatio: 4,
      ours: {
        name: 'holdfast',
        prepare: make,
        run: () => ours.forEach((name) => volume.stat(name)),
        cleanUp: remove,
      },
      peer: {
        name: PEER,
        prepare: makeTheirs,
        run: () => theirs.forEach((name) => statSync(name)),
        cleanUp: removeTheirs,
      },
    },
    listing(volume, directory),
  ]
}

/** Names of the directory that is listed. */
const LISTED = 100_000

/** Bytes of names, and entries of another type: whoever lists looks at both. */
const listed = { bytes: 0, others: 0 }

function listing(volume: Volume, directory: string): Comparison {
  const theirs = `${directory}/listed`
  volume.mkdir('/listed')
  mkdirSync(theirs)
  for (let i = 0; i < LISTED; i++) {
    volume.open(`/listed/file${i}`, 'wx').close()
    closeSync(openSync(`${theirs}/file${i}`, 'wx'))
  }
  return {
    question: 'readdir with types, a name',
    count: LISTED,
    wantRatio: 2,
    ours: {
      name: 'holdfast',
      run: () => {
        for (const { name, type } of volume.readdir('/listed')) {
          listed.bytes += name.length
          if (type !== 'file') listed.others++
        }
      },
    },
    peer: {
      name: PEER,
      run: () => {
        for (const entry of readdirSync(theirs, { withFileTypes: true })) {
          listed.bytes += entry.name.length
          if (!entry.isFile()) listed.others++
        }
      },
    },
  }
}

function renaming(
  { volume, ours, oursTo, theirs, theirsTo }: Names,
  count: number,
  make: () => void,
  makeTheirs: () => void,
): Comparison {
  return {
    question: 'rename',
    count,
    wantRatio: 2,
    ours: {
      name: 'holdfast',
      prepare: make,
      run: () => ours.forEach((name, i) => volume.rename(name, oursTo[i]!)),
      cleanUp: () => oursTo.forEach((name) => volume.unlink(name)),
    },
    peer: {
      name: PEER,
      prepare: makeTheirs,
      run: () => theirs.forEach((name, i) => renameSync(name, theirsTo[i]!)),
      cleanUp: () => theirsTo.forEach((name) => unlinkSync(name)),
    },
  }
}
