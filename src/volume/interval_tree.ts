/**
 * Intervals in memory, found by what they overlap: a treap by start whose nodes know the highest
 * end below them (Cormen, Leiserson, Rivest, Stein, ch. 14.3). With n intervals: insert and remove
 * O(log n), finding k that overlap O(log n + k), all expected, whatever the order they come in.
 *
 * Invariants: by (start, order) it is a search tree, by priority a heap, so that its depth is that
 * of a random tree; `highest` is the highest end in the subtree. Start and order of an interval in
 * the tree do not change.
 */
import { assert } from '../base/errors.js'
import { Prng } from '../base/prng.js'

export interface Interval {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** Tells apart intervals with the same start. */
  readonly order: number
}

interface Node<T extends Interval> {
  readonly item: T
  readonly priority: number
  highest: number
  left: Node<T> | undefined
  right: Node<T> | undefined
}

type Subtree<T extends Interval> = Node<T> | undefined

/** Of all trees: only the shape depends on it, and nobody sees that. */
const priorities = new Prng(1)

export class IntervalTree<T extends Interval> {
  #root: Subtree<T>
  #size = 0

  get size(): number {
    return this.#size
  }

  insert(item: T): void {
    const node: Node<T> = {
      item,
      priority: priorities.next(),
      highest: item.end,
      left: undefined,
      right: undefined,
    }
    this.#root = inserted(this.#root, node)
    this.#size++
  }

  remove(item: T): void {
    this.#root = removed(this.#root, item)
    this.#size--
  }

  /** The first by start that overlaps [start, end) and that `accept` takes. */
  first(start: number, end: number, accept: (item: T) => boolean): T | undefined {
    return first(this.#root, start, end, accept)
  }

  /** Those that overlap [start, end), by start. */
  overlapping(start: number, end: number): T[] {
    const found: T[] = []
    first(this.#root, start, end, (item) => {
      found.push(item)
      return false
    })
    return found
  }
}

function before(a: Interval, b: Interval): boolean {
  return a.start < b.start || (a.start === b.start && a.order < b.order)
}

/** Sets `highest` again, after something below changed. */
function settle<T extends Interval>(node: Node<T>): Node<T> {
  let highest = node.item.end
  if (node.left !== undefined && node.left.highest > highest) highest = node.left.highest
  if (node.right !== undefined && node.right.highest > highest) highest = node.right.highest
  node.highest = highest
  return node
}

function inserted<T extends Interval>(tree: Subtree<T>, node: Node<T>): Node<T> {
  if (tree === undefined) return node
  if (node.priority > tree.priority) {
    const [left, right] = split(tree, node.item)
    node.left = left
    node.right = right
    return settle(node)
  }
  if (before(node.item, tree.item)) tree.left = inserted(tree.left, node)
  else tree.right = inserted(tree.right, node)
  return settle(tree)
}

/** What stands before `at`, and the rest. */
function split<T extends Interval>(tree: Subtree<T>, at: T): [Subtree<T>, Subtree<T>] {
  if (tree === undefined) return [undefined, undefined]
  if (before(tree.item, at)) {
    const [left, right] = split(tree.right, at)
    tree.right = left
    return [settle(tree), right]
  }
  const [left, right] = split(tree.left, at)
  tree.left = right
  return [left, settle(tree)]
}

function removed<T extends Interval>(tree: Subtree<T>, item: T): Subtree<T> {
  assert(tree !== undefined, 'an interval that is removed stands in the tree')
  if (tree.item === item) return joined(tree.left, tree.right)
  if (before(item, tree.item)) tree.left = removed(tree.left, item)
  else tree.right = removed(tree.right, item)
  return settle(tree)
}

/** One tree of two, of which all of `left` stands before all of `right`. */
function joined<T extends Interval>(left: Subtree<T>, right: Subtree<T>): Subtree<T> {
  if (left === undefined) return right
  if (right === undefined) return left
  if (left.priority > right.priority) {
    left.right = joined(left.right, right)
    return settle(left)
  }
  right.left = joined(left, right.left)
  return settle(right)
}

function first<T extends Interval>(
  tree: Subtree<T>,
  start: number,
  end: number,
  accept: (item: T) => boolean,
): T | undefined {
  if (tree === undefined || tree.highest <= start) return undefined
  const { item } = tree
  const found = first(tree.left, start, end, accept)
  if (found !== undefined) return found
  if (item.start >= end) return undefined
  if (item.end > start && accept(item)) return item
  return first(tree.right, start, end, accept)
}
