;; A processor around a few lines of text: what stands for `main`, `imports`, `lowered`, `links` and `between` is put in by whoever
;; makes a component of it.
(component
  (import "baton:processor/events@0.1.0" (instance $events
    (type $span' (record (field "start" u32) (field "len" u32)))
    (export "span" (type $span (eq $span')))
    (type $attribute' (record (field "name" $span) (field "value" $span)))
    (export "attribute" (type $attribute (eq $attribute')))
    (type $event' (record
      (field "channel" $span) (field "id" $span) (field "source" $span) (field "type" $span)
      (field "subject" $span) (field "partitionkey" $span) (field "datacontenttype" $span)
      (field "data" $span) (field "key" $span) (field "offset" u64) (field "attempt" u32)
      (field "attributes-start" u32) (field "attributes-count" u32)))
    (export "event" (type $event (eq $event')))
    (type $batch' (record
      (field "arena" (list u8)) (field "events" (list $event)) (field "attributes" (list $attribute))))
    (export "batch" (type (eq $batch')))
    (type $emit' (record
      (field "channel" $span) (field "type" $span) (field "subject" $span) (field "partitionkey" $span)
      (field "datacontenttype" $span) (field "data" $span)
      (field "attributes-start" u32) (field "attributes-count" u32)))
    (export "emit" (type $emit (eq $emit')))
    (type $write' (record (field "name" $span) (field "value" $span) (field "expires-ms" u64)))
    (export "write" (type $write (eq $write')))
    (type $verdict' (enum "handled" "retry" "reject"))
    (export "verdict" (type $verdict (eq $verdict')))
    (type $outcome' (record
      (field "verdict" $verdict) (field "emits-count" u32) (field "writes-count" u32)
      (field "reply" $span) (field "note" $span) (field "retry-after-ms" u64)))
    (export "outcome" (type $outcome (eq $outcome')))
    (type $outcomes' (record
      (field "arena" (list u8)) (field "outcomes" (list $outcome)) (field "emits" (list $emit))
      (field "writes" (list $write)) (field "attributes" (list $attribute))))
    (export "outcomes" (type (eq $outcomes')))
  ))
  (alias export $events "batch" (type $batch))
  (alias export $events "outcomes" (type $outcomes))
  (import "baton:processor/state@0.1.0" (instance $state
    (export "get" (func (param "event" u32) (param "name" string) (result (option (list u8)))))))
  (import "baton:processor/log@0.1.0" (instance $log
    (type $level' (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level')))
    (export "write" (func (param "event" u32) (param "level" $level) (param "message" string)))))
  (import "wasi:io/poll@0.2.3" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:random/random@0.2.3" (instance $random
    (export "get-random-u64" (func (result u64)))))
  ;; imports
  (core module $libc
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 65536))
    ;; Takes bytes off the top; a call gives all of them back with `free`.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
        (then (drop (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1))))))
      (local.get $at))
    (func (export "free") (param i32) (global.set $top (i32.const 65536))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $state-get (canon lower (func $state "get") (memory $memory) (realloc (func $libc "realloc"))))
  (core func $log-write (canon lower (func $log "write") (memory $memory)))
  (core func $now (canon lower (func $clock "now")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $random-u64 (canon lower (func $random "get-random-u64")))
  ;; lowered
  (core module $main
    (import "host" "state-get" (func $state-get (param i32 i32 i32 i32)))
    (import "host" "log-write" (func $log-write (param i32 i32 i32 i32)))
    (import "host" "now" (func $now (result i64)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "random" (func $random (result i64)))
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    ;; main
    (@custom "baton-descriptor" "DESCRIPTOR"))
  ;; between
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "state-get" (func $state-get))
      (export "log-write" (func $log-write))
      (export "now" (func $now))
      (export "subscribe" (func $subscribe))
      (export "block" (func $block))
      (export "random" (func $random-u64))
      ;; links
      ))))
  (func $handle (param "batch" $batch) (result $outcomes)
    (canon lift (core func $main "handle") (memory $memory) (realloc (func $libc "realloc"))
      (post-return (func $libc "free"))))
  (instance $handler (export "handle" (func $handle)))
  (export "baton:processor/handler@0.1.0" (instance $handler))
)
