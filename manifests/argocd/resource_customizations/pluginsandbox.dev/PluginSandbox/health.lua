-- Health of a PluginSandbox for Argo CD: kstatus' rules, in kstatus' order.
-- Degraded fails a whole sync, so only the condition Stalled leads there; what may pass by itself
-- is Progressing.
local function condition(kind)
  for _, each in ipairs(obj.status.conditions or {}) do
    if each.type == kind then
      return each
    end
  end
  return {}
end

local function health(status, found)
  local words = {}
  for _, word in ipairs({ found.reason or "", found.message or "" }) do
    if word ~= "" then
      table.insert(words, word)
    end
  end
  return { status = status, message = table.concat(words, ": ") }
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not seen this generation yet" }
end
local reconciling, stalled, ready = condition("Reconciling"), condition("Stalled"), condition("Ready")
if reconciling.status == "True" then
  return health("Progressing", reconciling)
end
if stalled.status == "True" then
  return health("Degraded", stalled)
end
if ready.status ~= "True" then
  return health("Progressing", ready)
end
if ready.reason == "Suspended" then
  return health("Suspended", ready)
end
return health("Healthy", ready)
