// What every part of the page may need: the state, who looks at it, and what can be opened.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Session, Snapshot, Wish } from "./state";

export interface Surroundings {
  readonly state: Snapshot;
  readonly session: Session | null;
  readonly zone: string;
  /** The monitor's clock less this browser's, in seconds. */
  readonly offset_s: number;
  /** Open the dialog in which an operator wishes something. */
  readonly wish: (wish: Wish) => void;
  /** Draw the messages behind this event. */
  readonly showSequence: (event: string) => void;
  readonly openLogin: () => void;
}

export const Around = createContext<Surroundings | null>(null);

export function useSurroundings(): Surroundings {
  const found = useContext(Around);
  if (found === null) throw new Error("drawn outside of the page");
  return found;
}
