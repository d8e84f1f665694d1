"use client";

import { useState } from "react";

export default function Page() {
  const [count, setCount] = useState(0);
  return (
    <main>
      <h1>as it was installed</h1>
      <button type="button" onClick={() => setCount(count + 1)}>
        count is {count}
      </button>
    </main>
  );
}
