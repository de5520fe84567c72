// The whole page.  It draws what the monitor says, and decides nothing.

import "./style/base.css";
import "./style/top.css";
import "./style/picture.css";
import "./style/panels.css";
import "./style/timeline.css";
import "./style/dialogs.css";
import { type JSX, render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Announcing } from "./announcing";
import { Centre } from "./centre";
import { DemoPanel } from "./demo";
import { follow, NOTHING, type View } from "./feed";
import { LoginDialog } from "./login";
import { Picture } from "./picture";
import { session as askSession } from "./requests";
import { SequenceDialog } from "./sequence";
import { Services } from "./services";
import type { Session, Wish } from "./state";
import { Around, type Surroundings } from "./surroundings";
import { chosen, setTheme } from "./theme";
import { Timeline } from "./timeline";
import { OWN_ZONE } from "./times";
import { Banners, Top } from "./top";
import { WhatIf } from "./whatif";
import { WishDialog } from "./wishing";

type Opened = { kind: "login"; why?: string } | { kind: "wish"; wish: Wish } | { kind: "sequence"; event: string };

function Page(): JSX.Element {
  const [view, setView] = useState<View>(NOTHING);
  const [session, setSession] = useSession(view);
  const [opened, open] = useState<Opened | null>(usedLink);
  const [zone, setZone] = useState(OWN_ZONE);
  useEffect(() => follow(setView), []);
  useTitle(view);
  const opening = useMemo(() => openings(open), []);
  const { state } = view;
  const surroundings = state && { state, session, zone, offset_s: view.offset_s, ...opening };
  return (
    <Around.Provider value={surroundings}>
      <a class="skip" href="#main">
        Skip to the cluster
      </a>
      <Top view={view} session={session} setSession={setSession} openLogin={opening.openLogin} />
      <Banners view={view} />
      {state === null ? <Waiting view={view} /> : <Body stale={isStale(view)} zone={zone} setZone={setZone} />}
      <Announcing view={view} />
      <Dialogs opened={opened} close={() => open(null)} session={session} setSession={setSession} ready={state !== null} />
    </Around.Provider>
  );
}

/** What opens the dialogs: the same functions for as long as the page is open, so that nothing is drawn anew for them. */
function openings(open: (opened: Opened) => void): Pick<Surroundings, "wish" | "showSequence" | "openLogin"> {
  return {
    wish: (wish) => open({ kind: "wish", wish }),
    showSequence: (event) => open({ kind: "sequence", event }),
    openLogin: () => open({ kind: "login" }),
  };
}

function Body({ stale, zone, setZone }: { stale: boolean; zone: string; setZone: (zone: string) => void }): JSX.Element {
  return (
    <main id="main" class={stale ? "stale" : ""} tabIndex={-1}>
      <div class="wide-column">
        <Picture />
        <Services />
        <WhatIf />
        <DemoPanel />
      </div>
      <div class="narrow-column">
        <Centre />
        <Timeline zone={zone} setZone={setZone} />
      </div>
    </main>
  );
}

function Waiting({ view }: { view: View }): JSX.Element {
  return (
    <main id="main" class="waiting-page" tabIndex={-1}>
      <p class="waiting">{view.link === "lost" ? "Waiting for the monitor." : "Asking the monitor for the cluster ..."}</p>
      <div class="skeleton" aria-hidden="true">
        <i />
        <i />
        <i />
      </div>
    </main>
  );
}

/** A link to log in works once: who comes by a used one is asked for the password instead. */
function usedLink(): Opened | null {
  if (new URLSearchParams(window.location.search).get("link") !== "used") return null;
  window.history.replaceState(null, "", window.location.pathname);
  return { kind: "login", why: "That link was used before, or is too old." };
}

interface DialogsShown {
  readonly opened: Opened | null;
  readonly close: () => void;
  readonly session: Session | null;
  readonly setSession: (session: Session) => void;
  readonly ready: boolean;
}

function Dialogs({ opened, close, session, setSession, ready }: DialogsShown): JSX.Element | null {
  if (opened === null) return null;
  if (opened.kind === "login") {
    const loggedIn = (fresh: Session): void => {
      setSession(fresh);
      close();
    };
    return <LoginDialog why={opened.why ?? ""} session={session} loggedIn={loggedIn} close={close} />;
  }
  if (opened.kind === "sequence") return <SequenceDialog key={opened.event} event={opened.event} close={close} />;
  return ready ? <WishDialog wish={opened.wish} close={close} /> : null;
}

/** Whether what is shown may be no longer so. */
function isStale(view: View): boolean {
  return view.link !== "live" || (view.state?.head.lost_since ?? null) !== null;
}

/** Who looks at the page; asked anew with each connection, since a monitor that was restarted knows nobody. */
function useSession(view: View): [Session | null, (session: Session) => void] {
  const [session, setSession] = useState<Session | null>(null);
  const live = view.link === "live";
  useEffect(() => {
    if (live) askSession().then(setSession, () => setSession(null));
  }, [live]);
  return [session, setSession];
}

/** The tab says whether all is well, too. */
function useTitle(view: View): void {
  const head = view.state?.head;
  const level = isStale(view) ? "?" : head?.verdict.level;
  useEffect(() => {
    const sign = level === "ok" ? "" : level === "?" ? "(?) " : "(!) ";
    document.title = head === undefined ? "Locum" : `${sign}Locum: ${head.cluster}`;
  }, [level, head?.cluster]);
}

setTheme(chosen());
const place = document.getElementById("page");
if (place !== null) {
  place.replaceChildren();
  render(<Page />, place);
}
