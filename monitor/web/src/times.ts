// Instants and durations as people read them.

import { useEffect, useState } from "preact/hooks";
import { here } from "./feed";

/** The viewer's own time zone. */
export const OWN_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** A duration in its largest one or two units; below ten seconds with a tenth. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** A duration that is a multiple of whole seconds, for what is told anew every second. */
export function whole(seconds: number): string {
  return seconds < 10 ? `${Math.max(0, Math.round(seconds))} s` : span(seconds);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, part: "clock" | "day" | "full"): Intl.DateTimeFormat {
  const key = `${zone} ${part}`;
  let found = formats.get(key);
  if (found === undefined) {
    const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
    const day = { weekday: "long", day: "numeric", month: "long" } as const;
    const chosen = part === "clock" ? clock : part === "day" ? day : { ...day, ...clock, year: "numeric" as const, timeZoneName: "short" as const };
    found = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...chosen });
    formats.set(key, found);
  }
  return found;
}

/** 14:03:07 */
export const clock = (at: number, zone: string): string => format(zone, "clock").format(at * 1000);

/** Saturday 28 November */
export const day = (at: number, zone: string): string => format(zone, "day").format(at * 1000).replace(",", "");

/** Everything, with the zone. */
export const full = (at: number, zone: string): string => format(zone, "full").format(at * 1000);

const watchers = new Set<(now: number) => void>();

window.setInterval(() => {
  const now = here();
  for (const tell of watchers) tell(now);
}, 1000);

/** This browser's clock, told anew every second: to all at once, so that they are drawn at once. */
export function useNow(): number {
  const [now, setNow] = useState(here);
  useEffect(() => {
    watchers.add(setNow);
    return () => void watchers.delete(setNow);
  }, []);
  return now;
}
