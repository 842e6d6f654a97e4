/** See fuzz.ts. */
import { fuzzHalf } from './fuzz.js'

fuzzHalf(0)
