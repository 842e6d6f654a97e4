/**
 * What do operations on names cost, against the kernel's tmpfs through node:fs synchronous calls?
 *
 * Peer: fs.openSync(path, 'wx') + fs.closeSync, fs.renameSync, fs.unlinkSync, fs.statSync: the
 * fastest forms of node:fs, on tmpfs, which keeps nothing through a crash of the machine. Ours: the
 * volume's synchronous calls, sync=always: every operation is in the log and fenced when it returns.
 * Both: the same names in one directory, in the same order.
 */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs'
import type { Volume } from '../src/volume/volume.js'
import type { Comparison } from './pairs.js'

export function metadataComparisons(
  volume: Volume,
  directory: string,
  count: number,
): Comparison[] {
  volume.mkdir('/names')
  rmSync(`${directory}/names`, { recursive: true, force: true })
  mkdirSync(`${directory}/names`)
  const ours = Array.from({ length: count }, (_, i) => `/names/file${i}`)
  const oursTo = ours.map((name) => `${name}.new`)
  const theirs = ours.map((name) => `${directory}${name}`)
  const theirsTo = theirs.map((name) => `${name}.new`)
  const make = {
    ours: () => ours.forEach((name) => volume.open(name, 'wx').close()),
    theirs: () => theirs.forEach((name) => closeSync(openSync(name, 'wx'))),
  }
  const remove = {
    ours: () => ours.forEach((name) => volume.unlink(name)),
    theirs: () => theirs.forEach((name) => unlinkSync(name)),
    oursTo: () => oursTo.forEach((name) => volume.unlink(name)),
    theirsTo: () => theirsTo.forEach((name) => unlinkSync(name)),
  }
  return [
    {
      question: 'create + close',
      count,
      wantRatio: 2,
      ours: { name: 'holdfast', run: make.ours, cleanUp: remove.ours },
      peer: { name: 'node:fs tmpfs', run: make.theirs, cleanUp: remove.theirs },
    },
    {
      question: 'unlink',
      count,
      wantRatio: 2,
      ours: { name: 'holdfast', prepare: make.ours, run: remove.ours },
      peer: { name: 'node:fs tmpfs', prepare: make.theirs, run: remove.theirs },
    },
    {
      question: 'rename',
      count,
      wantRatio: 2,
      ours: {
        name: 'holdfast',
        prepare: make.ours,
        run: () => ours.forEach((name, i) => volume.rename(name, oursTo[i]!)),
        cleanUp: remove.oursTo,
      },
      peer: {
        name: 'node:fs tmpfs',
        prepare: make.theirs,
        run: () => theirs.forEach((name, i) => renameSync(name, theirsTo[i]!)),
        cleanUp: remove.theirsTo,
      },
    },
    {
      question: 'stat',
      count,
      wantRatio: 4,
      ours: {
        name: 'holdfast',
        prepare: make.ours,
        run: () => ours.forEach((name) => volume.stat(name)),
        cleanUp: remove.ours,
      },
      peer: {
        name: 'node:fs tmpfs',
        prepare: make.theirs,
        run: () => theirs.forEach((name) => statSync(name)),
        cleanUp: remove.theirs,
      },
    },
  ]
}
